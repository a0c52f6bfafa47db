"""Folders of films with SEG objects, gathered, and what came of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom
from pycocotools import mask as coco_mask

from datasets.gather.__main__ import main
from model.data.coco import load_coco
from tests.support.dicom_results import SERIES, hospital_film

Mask = npt.NDArray[np.bool_]
ROOT = "1.2.826.0.1.3680043.8.498.10"
SIZE = (13, 19)  # so that frames of one bit do not begin with a byte


def film_uid(number: int) -> str:
    return f"{ROOT}.{number}"


def film(number: int, size: tuple[int, int] = SIZE, **changes: Any) -> bytes:
    """A film with greys and a UID of its own."""
    greys = (np.arange(size[0] * size[1]) * (2 * number + 1) % 251).reshape(size)
    elements = {"SOPInstanceUID": film_uid(number), "SeriesInstanceUID": SERIES, **changes}
    return hospital_film(greys.astype(np.uint16), **elements)


def noise(seed: int, size: tuple[int, int] = SIZE) -> Mask:
    """A mask of many parts."""
    return np.random.default_rng(seed).random(size) > 0.6


def folder(path: Path, **files: bytes) -> Path:
    """A folder with files, whose names begin with a folder where they have `__`."""
    for name, content in files.items():
        file = path / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


class Gathered(NamedTuple):
    """By number of a film and frame: its objects, each a class and a mask, in their order."""

    objects: dict[tuple[int, int], list[tuple[str, Mask]]]
    folder: Path


def gather(*sources: Path, out: Path) -> Gathered:
    assert main([*map(str, sources), "--out", str(out)]) == 0
    data, objects = load_coco(out), {}
    for record in data.images:
        dataset = pydicom.dcmread(io.BytesIO(record.path.read_bytes()), stop_before_pixels=True)
        number = int(str(dataset.SOPInstanceUID).rpartition(".")[2])
        objects[number, record.frame] = [
            (data.class_names[item.label], coco_mask.decode(item.rle).astype(np.bool_))
            for item in record.annotations
        ]
    return Gathered(objects, out)


def same(found: list[tuple[str, Mask]], expected: list[tuple[str, Mask]]) -> bool:
    """Whether two lists of objects are the same, in whatever order."""
    return _sorted(found) == _sorted(expected)


def _sorted(objects: list[tuple[str, Mask]]) -> list[tuple[str, bytes]]:
    return sorted((name, mask.tobytes()) for name, mask in objects)
