"""COCO reader and validation: a sentence for each thing that is wrong with a data set.

A data set is a folder with one `*.json` of annotations and the images, beside it or in `images/`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.data.coco_values import (
    find_image,
    is_flag,
    is_id,
    is_patient,
    is_size,
    is_spacing,
    is_text,
)
from model.data.outlines import Polygons, polygon_area, read_outline


class DatasetError(ValueError):
    """The data set cannot be used; the message lists every fault that was found."""


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class Annotation:
    """One annotated object.

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
    `frame` is which frame of a file with many.
    """

    image_id: int
    path: Path
    height: int
    width: int
    patient: str
    annotations: tuple[Annotation, ...]
    spacing_mm: tuple[float, float] | None = None
    frame: int = 0


@dataclass(frozen=True)
class CocoDataset:
    """A data set: images, and the classes that their labels index."""

    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: tuple[ImageRecord, ...]

    def labels_of(self, class_names: Sequence[str]) -> npt.NDArray[np.int64]:
        """This data set's label of each class of a network.

        Args:
            class_names: the network's, in the order of its labels.

        Raises:
            ValueError: unless the two have the same classes, in whatever order.
        """
        if sorted(class_names) != sorted(self.class_names):
            raise ValueError(
                f"the network's classes are {', '.join(class_names)}, "
                f"the data set's are {', '.join(self.class_names)}"
            )
        return np.array([self.class_names.index(name) for name in class_names], np.int64)

    def subset(self, images: tuple[ImageRecord, ...]) -> CocoDataset:
        """The same classes with other images."""
        return CocoDataset(self.class_names, self.category_ids, images)


def load_coco(folder: Path) -> CocoDataset:
    """Reads and checks a data set; images without objects stay, as negatives.

    No image is decoded: see `model.training.verify`.

    Raises:
        DatasetError: with one sentence a fault, naming the image or annotation by its id.
    """
    data, faults = examine_coco(folder)
    if faults:
        raise DatasetError("\n".join(faults))
    return data


def examine_coco(folder: Path) -> tuple[CocoDataset, list[str]]:
    """Reads what can be read of a data set, with a sentence for each fault of the rest.

    Raises:
        DatasetError: if there is no annotation file that could be read in part.
    """
    path = _annotation_file(folder)
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # other text, a number or a nest without end
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
    names = _read_categories(document["categories"], faults)
    labels = {key: label for label, key in enumerate(names)}
    by_image = _read_annotations(document, labels, faults)
    images = tuple(_read_images(document["images"], folder, by_image, faults))
    if not document["images"]:
        faults.append("the data set has no images")
    return CocoDataset(tuple(names.values()), tuple(names), images), faults


def _annotation_file(folder: Path) -> Path:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder")
    found = sorted(folder.glob("*.json"))
    if len(found) != 1:
        raise DatasetError(
            f"{folder} must hold one JSON file of annotations, it holds {len(found)}"
        )
    return found[0]


def _read_categories(entries: list[Any], faults: list[str]) -> dict[int, str]:
    """Names by category id, in the order of the file; ids need not be contiguous."""
    ids, names = [], []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not is_id(entry.get("id")):
            faults.append(f"category number {index} has no integer 'id'")
        elif not is_text(entry.get("name")):
            faults.append(f"category {entry['id']} has no 'name'")
        else:
            ids.append(entry["id"])
            names.append(entry["name"])
    faults.extend(
        f"category id {key} is used {n} times" for key, n in Counter(ids).items() if n > 1
    )
    if len(set(ids)) == len(ids):
        faults.extend(
            f"category name '{name}' is used {n} times"
            for name, n in Counter(names).items()
            if n > 1
        )
    if not entries:
        faults.append("the data set has no categories")
    return dict(zip(ids, names, strict=True))


def _read_annotations(
    document: dict[str, Any], labels: dict[int, int], faults: list[str]
) -> dict[int, list[Annotation]]:
    sizes = {
        entry["id"]: (entry.get("height"), entry.get("width"))
        for entry in document["images"]
        if isinstance(entry, dict) and is_id(entry.get("id"))
    }
    by_image: dict[int, list[Annotation]] = {key: [] for key in sizes}
    seen: Counter[int] = Counter()
    for index, entry in enumerate(document["annotations"]):
        if not isinstance(entry, dict):
            faults.append(f"annotation number {index} is not an object")
            continue
        name = f"annotation {entry.get('id', f'number {index}')}"
        if is_id(entry.get("id")):
            seen[entry["id"]] += 1
        image_id = entry.get("image_id")
        if not is_id(image_id) or image_id not in sizes:
            faults.append(f"{name} is of image {image_id!r}, which is not there")
            continue
        try:
            annotation = _read_annotation(entry, labels, sizes[image_id])
        except ValueError as error:
            faults.append(f"{name} of image {image_id}: {error}")
        else:
            by_image[image_id] += [annotation] if annotation else []
    faults.extend(f"annotation id {key} is used {n} times" for key, n in seen.items() if n > 1)
    return by_image


def _read_annotation(
    entry: dict[str, Any], labels: dict[int, int], size: tuple[Any, Any]
) -> Annotation | None:
    """One object, or None on an image without a valid size, whose own fault is told."""
    category_id, is_crowd = entry.get("category_id"), entry.get("iscrowd")
    if not is_id(category_id) or category_id not in labels:
        raise ValueError(f"it is of category {category_id!r}, which is not there")
    if not is_flag(is_crowd):
        raise ValueError(f"its 'iscrowd' must be 0 or 1, not {is_crowd!r}")
    if not is_size(size):
        return None
    polygons, rle = read_outline(entry.get("segmentation"), size)
    area = float(coco_mask.area(rle)) if rle else sum(map(polygon_area, polygons))
    return Annotation(labels[category_id], polygons, rle, area, bool(is_crowd))


def _read_images(
    entries: list[Any], folder: Path, by_image: dict[int, list[Annotation]], faults: list[str]
) -> Iterator[ImageRecord]:
    seen: Counter[int] = Counter()
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not is_id(entry.get("id")):
            faults.append(f"image number {index} has no integer 'id'")
            continue
        key = entry["id"]
        seen[key] += 1
        if seen[key] == 2:
            faults.append(f"image id {key} is used more than once")
        path = find_image(folder, entry.get("file_name"))
        own = list(_image_faults(entry, path))
        faults.extend(f"image {key}{fault}" for fault in own)
        if own or path is None:
            continue
        spacing_mm = entry.get("pixel_spacing_mm")
        yield ImageRecord(
            image_id=key,
            path=path,
            height=entry["height"],
            width=entry["width"],
            patient=_patient(entry),
            annotations=tuple(by_image.get(key, ())),
            spacing_mm=None if spacing_mm is None else (spacing_mm[0], spacing_mm[1]),
            frame=_frame(entry),
        )


def _image_faults(entry: dict[str, Any], path: Path | None) -> Iterator[str]:
    if not is_size((entry.get("height"), entry.get("width"))):
        yield " has no valid 'height' and 'width'"
    if path is None:
        yield f": there is no file '{entry.get('file_name')}'"
    for name in ("patientid", "patient_id"):
        if not is_patient(entry.get(name)):
            yield f": '{name}' must be a text or a whole number"
    spacing_mm = entry.get("pixel_spacing_mm")
    if spacing_mm is not None and not is_spacing(spacing_mm):
        yield ": 'pixel_spacing_mm' must be two lengths above 0"


def _frame(entry: dict[str, Any]) -> int:
    """The frame that an entry shows, in the words of `python -m solo`, or 0.

    Other tools number the images of a video by `frame`, each a file of its own: only beside the
    number of `frames` of the file does it choose one.
    """
    frame, frames = entry.get("frame"), entry.get("frames")
    if isinstance(frame, int) and isinstance(frames, int) and 0 <= frame < frames:
        return int(frame)
    return 0


def _patient(entry: dict[str, Any]) -> str:
    """The patient's name, or one that no other image has."""
    for name in ("patientid", "patient_id"):
        if entry.get(name) not in (None, ""):
            return str(entry[name])
    return f"the one of image {entry['id']}"
