"""COCO writer of a merged data set: `annotations.json` and `images/`, whole or not at all.

A set with splits is several such folders.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Never

from tqdm import tqdm

from datasets.gather.merge import Entry, by_split, numbered
from model.data.coco import Annotation, DatasetError, load_coco

_PLAIN = re.compile(r"\w[\w .-]{0,98}\w")  # a name that every system and `load_coco` take


@contextmanager
def working_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder within the one to write, for all that is not finished; gone at the end.

    Raises:
        FileExistsError: if there is anything in the folder.
        NotADirectoryError: if it is a file.
    """
    is_new = not folder.exists()
    found = None if is_new else next(folder.iterdir(), None)  # of a file: NotADirectoryError
    if found:
        raise FileExistsError(f"{found} is there: nothing is overwritten, name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix=".gather-", dir=folder) as work:
            yield Path(work)
    finally:
        if is_new:
            with suppress(OSError):  # there is something in it
                folder.rmdir()


def write_folder(
    folder: Path, work: Path, entries: Sequence[Entry], categories: dict[str, int]
) -> None:
    """Copies the films byte for byte and writes the annotation file; the last step completes it.

    Args:
        folder: to write, empty but for `work`.
        work: within it.
        entries: the films.
        categories: ids by name.

    Raises:
        DatasetError: if there is no object in it to train on.
    """
    whole = work / "whole"
    splits = by_split(entries)
    with tqdm(total=len(entries), desc="copying films", unit="film") as progress:
        for split, own in splits.items():
            _write_set(whole / split, own, categories, progress)
    trained = splits.get("", splits.get("train"))
    if trained is None:
        raise DatasetError("No film is of the split 'train': there is nothing to train on.")
    load_coco(whole / ("" if "" in splits else "train")).require_objects()
    # Without the last of them it is no data set.
    last = ["images", "annotations.json"] if "" in splits else ["test", "val", "train"]
    for name in last:
        if (whole / name).exists():
            (whole / name).rename(folder / name)


def _write_set(
    folder: Path, entries: Sequence[Entry], categories: dict[str, int], progress: tqdm[Never]
) -> None:
    names = _file_names(entries)
    (folder / "images").mkdir(parents=True)
    files = {entry.picture.file: entry.record.path for entry in entries}
    for digest, path in files.items():
        shutil.copyfile(path, folder / "images" / names[digest])
    progress.update(len(entries))
    text = json.dumps(_document(entries, categories, names), separators=(",", ":"))
    (folder / "annotations.json").write_text(text + "\n", encoding="utf-8")
    load_coco(folder)


def _file_names(entries: Sequence[Entry]) -> dict[str, str]:
    """A name by each file's digest: its own, with some of the digest where others have it too."""
    own = {entry.picture.file: entry.film.name or entry.record.path.name for entry in entries}
    called: defaultdict[str, list[str]] = defaultdict(list)
    for digest, name in own.items():
        called[name.casefold()].append(digest)
    names = {}
    for digest, name in own.items():
        stem, suffix = Path(name).stem, Path(name).suffix
        if not _PLAIN.fullmatch(name) or ".." in name:
            stem, suffix = "film", suffix if _PLAIN.fullmatch(suffix[1:]) else ""
        elif len(called[name.casefold()]) == 1:
            names[digest] = name
            continue
        names[digest] = f"{stem}-{digest[:16]}{suffix}"
    return names


def _document(
    entries: Sequence[Entry], categories: dict[str, int], names: dict[str, str]
) -> dict[str, Any]:
    objects = [(entry, item) for entry in entries for item in entry.record.annotations]
    ids = numbered(item.annotation_id for _, item in objects)
    return {
        "info": {"description": "Gathered by python -m datasets.gather"},
        "categories": [{"id": key, "name": name} for name, key in categories.items()],
        "images": [_image(entry, names[entry.picture.file]) for entry in entries],
        "annotations": [
            {
                "id": key,
                "image_id": entry.record.image_id,
                "category_id": categories[entry.seen.source.class_names[item.label]],
                **_outline(item),
            }
            for key, (entry, item) in zip(ids, objects, strict=True)
        ],
    }


def _image(entry: Entry, name: str) -> dict[str, Any]:
    record = entry.record
    image: dict[str, Any] = {
        "id": record.image_id,
        "file_name": f"images/{name}",
        "height": record.height,
        "width": record.width,
    }
    if record.patient:
        image["patient_id"] = record.patient
    if record.spacing_mm:
        image["pixel_spacing_mm"] = list(record.spacing_mm)
    if record.frame:
        image |= {"frame": record.frame, "frames": entry.film.frames}
    return image | entry.film.attribution


def _outline(item: Annotation) -> dict[str, Any]:
    segmentation: object = [ring.ravel().tolist() for ring in item.polygons]
    if item.rle:
        segmentation = {"size": list(item.rle["size"]), "counts": item.rle["counts"].decode()}
    return {
        "segmentation": segmentation,
        "area": item.area,
        "bbox": list(item.box or item.outline_box),
        "iscrowd": 0,
    }
