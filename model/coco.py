"""Reads a data set in COCO format and says plainly what is wrong with it.

A data set is a folder with one `*.json` of annotations and the images, beside it or in `images/`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from model.outlines import Polygons, polygon_area, read_outline


class DatasetError(ValueError):
    """The data set cannot be used; the message lists every fault that was found."""


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class Annotation:
    """One object.

    Attributes:
        label: index into the data set's class names.
        polygons: float64 [n, 2] each, (x, y) in image pixels where a pixel's corner is an integer;
            empty for an object given as a mask.
        rle: COCO compressed RLE at the image's size, where there are no polygons.
        area: in image pixels.
        is_crowd: a region of many objects, which is not trained on.
    """

    label: int
    polygons: Polygons
    rle: dict[str, Any] | None
    area: float
    is_crowd: bool


@dataclass(frozen=True)
class ImageRecord:
    """One image and its objects; sizes in pixels. `patient` groups images that may not be split.

    `spacing_mm` is the distance between rows and between columns, where the data set gives it.
    """

    image_id: int
    path: Path
    height: int
    width: int
    patient: str
    annotations: tuple[Annotation, ...]
    spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True)
class CocoDataset:
    """Images and the classes their labels index."""

    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: tuple[ImageRecord, ...]

    def subset(self, images: tuple[ImageRecord, ...]) -> CocoDataset:
        """The same classes with other images."""
        return CocoDataset(self.class_names, self.category_ids, images)


def load_coco(folder: Path) -> CocoDataset:
    """Reads and checks a data set; images without objects stay, as negatives.

    Raises:
        DatasetError: with one sentence a fault, naming the image or annotation by its id.
    """
    path = _annotation_file(folder)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DatasetError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise DatasetError(f"{path.name} holds no JSON object")
    faults = [
        f"{path.name} has no list '{key}'"
        for key in ("categories", "images", "annotations")
        if not isinstance(document.get(key), list)
    ]
    if faults:
        raise DatasetError("\n".join(faults))
    labels = _read_categories(document["categories"], faults)
    by_image = _read_annotations(document, labels, faults)
    images = tuple(_read_images(document["images"], folder, by_image, faults))
    if not document["images"]:
        faults.append("the data set has no images")
    if faults:
        raise DatasetError("\n".join(faults))
    names = {entry["id"]: entry["name"] for entry in document["categories"]}
    return CocoDataset(tuple(str(names[key]) for key in labels), tuple(labels), images)


def _annotation_file(folder: Path) -> Path:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder")
    found = sorted(folder.glob("*.json"))
    if len(found) != 1:
        raise DatasetError(
            f"{folder} must hold one JSON file of annotations, it holds {len(found)}"
        )
    return found[0]


def _read_categories(entries: list[Any], faults: list[str]) -> dict[int, int]:
    """Category id to label, in the order of the file; ids need not be contiguous."""
    ids = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
            faults.append(f"category number {index} has no integer 'id'")
        elif not isinstance(entry.get("name"), str) or not entry["name"]:
            faults.append(f"category {entry['id']} has no 'name'")
        else:
            ids.append(entry["id"])
    faults.extend(
        f"category id {key} is used {n} times" for key, n in Counter(ids).items() if n > 1
    )
    if not entries:
        faults.append("the data set has no categories")
    return {key: label for label, key in enumerate(dict.fromkeys(ids))}


def _read_annotations(
    document: dict[str, Any], labels: dict[int, int], faults: list[str]
) -> dict[int, list[Annotation]]:
    sizes = {
        entry["id"]: (entry.get("height"), entry.get("width"))
        for entry in document["images"]
        if isinstance(entry, dict) and isinstance(entry.get("id"), int)
    }
    by_image: dict[int, list[Annotation]] = {key: [] for key in sizes}
    for index, entry in enumerate(document["annotations"]):
        if not isinstance(entry, dict):
            faults.append(f"annotation number {index} is not an object")
            continue
        name = f"annotation {entry.get('id', f'number {index}')}"
        image_id, category_id = entry.get("image_id"), entry.get("category_id")
        if not isinstance(image_id, int) or image_id not in sizes:
            faults.append(f"{name} is of image {image_id}, which is not there")
        elif not isinstance(category_id, int) or category_id not in labels:
            faults.append(f"{name} is of category {category_id}, which is not there")
        elif _is_size(sizes[image_id]):  # else the image's own fault is told
            try:
                annotation = _read_annotation(entry, labels[category_id], sizes[image_id])
            except ValueError as error:
                faults.append(f"{name} of image {image_id}: {error}")
            else:
                by_image[image_id].append(annotation)
    return by_image


def _read_annotation(entry: dict[str, Any], label: int, size: tuple[Any, Any]) -> Annotation:
    polygons, rle = read_outline(entry.get("segmentation"), size)
    area = float(coco_mask.area(rle)) if rle else sum(map(polygon_area, polygons))
    return Annotation(label, polygons, rle, area, bool(entry.get("iscrowd")))


def _is_size(size: tuple[Any, Any]) -> bool:
    return all(isinstance(side, int) and side > 0 for side in size)


def _read_images(
    entries: list[Any], folder: Path, by_image: dict[int, list[Annotation]], faults: list[str]
) -> Iterator[ImageRecord]:
    seen: Counter[int] = Counter()
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
            faults.append(f"image number {index} has no integer 'id'")
            continue
        key = entry["id"]
        seen[key] += 1
        if seen[key] == 2:
            faults.append(f"image id {key} is used more than once")
        if not _is_size((entry.get("height"), entry.get("width"))):
            faults.append(f"image {key} has no valid 'height' and 'width'")
            continue
        path = _find_image(folder, entry.get("file_name"))
        if path is None:
            faults.append(f"image {key}: there is no file '{entry.get('file_name')}'")
            continue
        patient = entry.get("patientid", entry.get("patient_id"))
        if patient is None:
            patient = f"the one of image {key}"
        spacing_mm = entry.get("pixel_spacing_mm")
        if spacing_mm is not None and not _is_spacing(spacing_mm):
            faults.append(f"image {key}: 'pixel_spacing_mm' must be two lengths above 0")
            continue
        yield ImageRecord(
            image_id=key,
            path=path,
            height=entry["height"],
            width=entry["width"],
            patient=str(patient),
            annotations=tuple(by_image.get(key, ())),
            spacing_mm=None if spacing_mm is None else (spacing_mm[0], spacing_mm[1]),
        )


def _is_spacing(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(side, int | float) and 0 < side < math.inf for side in value)
    )


def _find_image(folder: Path, file_name: object) -> Path | None:
    if not isinstance(file_name, str) or not file_name:
        return None
    for path in (folder / file_name, folder / "images" / file_name):
        if path.is_file():
            return path
    return None
