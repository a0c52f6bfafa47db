"""Data set verification: every film is decoded before the first step."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from model.data.coco import CocoDataset, DatasetError, ImageRecord, examine_coco
from model.data.radiograph import read_radiograph
from model.training.distributed import ProcessGroup


def load_readable(folder: Path, group: ProcessGroup | None = None) -> CocoDataset:
    """Reads and checks a data set as `load_coco` does, and decodes every film of it.

    Args:
        folder: of the data set.
        group: the processes that load it together; each decodes its part of the films.

    Raises:
        DatasetError: with all faults of the annotation file and all films that cannot be used.
    """
    group = group or ProcessGroup()
    data, faults = examine_coco(folder)
    own = data.images[group.rank :: group.size]
    with ThreadPoolExecutor() as pool:  # codecs decode without Python's lock
        found = tqdm(
            pool.map(_fault, own),
            total=len(own),
            desc="reading films",
            unit="film",
            disable=group.rank > 0 or not own,
        )
        faults += group.gather([fault for fault in found if fault])
    if faults:
        raise DatasetError(*faults)
    return data


def _fault(record: ImageRecord) -> str | None:
    try:
        read_radiograph(record)
    except (DatasetError, OSError) as error:
        return str(error)
    return None
