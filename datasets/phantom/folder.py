"""COCO writer of synthetic films, masks as run lengths."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from datasets.phantom.dicom_file import NOT_REAL, as_dicom, as_png
from datasets.phantom.radiograph import PhantomObject, PhantomRadiograph

FORMATS: dict[str, tuple[str, Callable[[PhantomRadiograph], bytes]]] = {
    "png": (".png", as_png),
    "dicom": (".dcm", as_dicom),
}


def write_folder(
    folder: Path,
    films: Iterable[PhantomRadiograph],
    categories: tuple[str, ...],
    *,
    file_format: str,
    about: str,
) -> None:
    """Writes `annotations.json` and `images/`.

    Args:
        folder: made if it is not there.
        films: any number, written as they come.
        categories: class names; their ids count from 1.
        file_format: one of `FORMATS`.
        about: of what and by which command the films were made.

    Raises:
        FileExistsError: if there is anything in the folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not empty: nothing is overwritten, name another folder")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    suffix, encode = FORMATS[file_format]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, film in enumerate(films, start=1):
        name = f"{image_id:06d}{suffix}"
        (folder / "images" / name).write_bytes(encode(film))
        images.append(_image_entry(image_id, name, film))
        for item in film.objects:
            category_id = categories.index(item.category) + 1
            annotations.append(_entry(len(annotations) + 1, image_id, category_id, item))
    document = {
        "info": {"description": about, "synthetic": True, "not_real": NOT_REAL},
        "categories": [{"id": 1 + i, "name": name} for i, name in enumerate(categories)],
        "images": images,
        "annotations": annotations,
    }
    text = json.dumps(document, indent=None, separators=(",", ":"))
    (folder / "annotations.json").write_text(text + "\n", encoding="utf-8")


def _image_entry(image_id: int, name: str, film: PhantomRadiograph) -> dict[str, Any]:
    height, width = film.stored.shape
    return {
        "id": image_id,
        "file_name": name,
        "height": height,
        "width": width,
        "patientid": film.patient,
        "pixel_spacing_mm": [film.pixel_mm, film.pixel_mm],
        "synthetic": True,
    }


def _entry(key: int, image_id: int, category_id: int, item: PhantomObject) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(item.mask.astype(np.uint8)))
    return {
        "id": key,
        "image_id": image_id,
        "category_id": category_id,
        "structure": item.structure,
        "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")},
        "area": int(coco_mask.area(rle)),
        "bbox": [float(value) for value in coco_mask.toBbox(rle)],
        "iscrowd": 0,
    }
