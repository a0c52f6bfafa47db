"""COCO reader and validation: a sentence for each thing that is wrong with a data set.

A data set is a folder with one annotation file and the images, in the layouts that annotation tools
export: see `model.data.annotation_file` and `model.data.coco_files`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from zipfile import is_zipfile

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.data.annotation_file import find_annotation_file
from model.data.coco_entries import (
    frame_of,
    image_faults,
    patient_of,
    read_categories,
    repeated,
    with_ids,
)
from model.data.coco_files import FilmFiles
from model.data.coco_values import as_box, as_flag, image_size, whole_number
from model.data.outlines import Polygons, polygon_area, read_outline

CROWDS = (
    "Crowd regions are not trained on: what is in them counts as background. CVAT writes brush "
    "masks as such ('iscrowd' is 1): where all objects of a class are, python -m datasets.gather "
    "takes each for an object."
)
_LISTED = 20  # faults of a kind: one slip of an export is a fault of every image


class Films(Protocol):
    """Who finds the film that an image's entry names."""

    def find(self, name: str, *, anywhere: bool = False) -> Path:
        """As `FilmFiles.find`."""


class DatasetError(ValueError):
    """The data set cannot be used; the message has a sentence for each fault.

    Of many faults that differ in names and numbers alone the first ones are listed.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(_abridged(faults)))


def _abridged(faults: Sequence[str]) -> Iterator[str]:
    kinds = [re.sub(r"'.*'|\d+", "", fault) for fault in faults]
    total, seen = Counter(kinds), Counter[str]()
    for fault, kind in zip(faults, kinds, strict=True):
        seen[kind] += 1
        if seen[kind] <= _LISTED:
            yield fault
        elif seen[kind] == _LISTED + 1:
            yield f"... and {total[kind] - _LISTED:,} more faults like the last one"


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
        annotation_id: where it has one.
        box: the `bbox` that the file gives beside the outline: x, y, width, height in pixels.
    """

    label: int
    polygons: Polygons
    rle: dict[str, Any] | None
    area: float
    is_crowd: bool
    annotation_id: int | None = None
    box: tuple[float, float, float, float] | None = None

    @property
    def outline_box(self) -> tuple[float, float, float, float]:
        """The tight `bbox` of the outline: x, y, width, height in pixels."""
        if self.rle:
            x, y, width, height = coco_mask.toBbox(self.rle).tolist()
        else:
            points = np.concatenate(self.polygons)
            (x, y), (width, height) = points.min(0).tolist(), np.ptp(points, 0).tolist()
        return x, y, width, height

    @property
    def is_relative(self) -> bool:
        """Whether its polygons seem to be in parts of the image's size, 0 to 1, as in YOLO."""
        return bool(self.polygons) and all(ring.max() <= 1 for ring in self.polygons)


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

    @property
    def crowds_alone(self) -> tuple[str, ...]:
        """The classes of which objects are annotated, but all as crowds, which teaches nothing."""
        objects = [annotation for record in self.images for annotation in record.annotations]
        crowds = {annotation.label for annotation in objects if annotation.is_crowd}
        taught = {annotation.label for annotation in objects if not annotation.is_crowd}
        return tuple(self.class_names[label] for label in sorted(crowds - taught))

    def require_objects(self) -> None:
        """Checks that there is something to train on.

        Raises:
            DatasetError: if no image shows an object, or all are crowds.
        """
        objects = [annotation for record in self.images for annotation in record.annotations]
        if all(annotation.is_crowd for annotation in objects):
            raise DatasetError(
                f"All objects are crowds. {CROWDS}"
                if objects
                else "No image shows an object: there is nothing to train on."
            )

    def subset(self, images: tuple[ImageRecord, ...]) -> CocoDataset:
        """The same classes with other images."""
        return CocoDataset(self.class_names, self.category_ids, images)


def load_coco(path: Path) -> CocoDataset:
    """Reads and checks a data set; images without objects stay, as negatives.

    No image is decoded: see `model.training.verify`.

    Args:
        path: the folder of the data set, or one of several annotation files of a folder.

    Raises:
        DatasetError: with one sentence a fault, naming the image or annotation by its id.
    """
    data, faults = examine_coco(path)
    if faults:
        raise DatasetError(*faults)
    return data


def examine_coco(path: Path) -> tuple[CocoDataset, list[str]]:
    """Reads what can be read of a data set, with a sentence for each fault of the rest.

    Args:
        path: as `load_coco` takes it.

    Raises:
        DatasetError: if there is no annotation file that could be read in part.
    """
    return examine_document(*read_document(path))


def examine_document(document: dict[str, Any], files: Films) -> tuple[CocoDataset, list[str]]:
    """Reads what can be read of an annotation file's content, as `examine_coco` does.

    Args:
        document: as `read_document` gives it.
        files: its films.
    """
    faults: list[str] = []
    names = read_categories(document, faults)
    images = with_ids("image", document["images"], faults)
    sizes = {key: image_size(entry.get("height"), entry.get("width")) for key, entry in images}
    labels = {key: label for label, key in enumerate(names)}
    # Without an image that has an id, every annotation would be of one that is not there.
    annotations = document["annotations"] if sizes or not document["images"] else []
    objects = _read_annotations(annotations, labels, sizes, faults)
    records = tuple(_read_images(images, sizes, files, objects, faults))
    if not document["images"]:
        faults.append("the data set has no images")
    drawn = [item for found in objects.values() for item in found if item.polygons]
    if drawn and all(item.is_relative for item in drawn):
        faults.append(
            "all polygons lie between 0 and 1: these are parts of the image's width and height, "
            "as YOLO has them, but COCO's are in pixels"
        )
    return CocoDataset(tuple(names.values()), tuple(names), records), faults


def read_document(path: Path) -> tuple[dict[str, Any], FilmFiles]:
    """The content of a data set's annotation file, which has its three lists, and its films.

    Args:
        path: as `load_coco` takes it.

    Raises:
        DatasetError: if there is no such file, or none that is clearly meant.
    """
    try:
        file, folder = find_annotation_file(path)
    except ValueError as error:
        raise DatasetError(str(error)) from None
    if is_zipfile(file):
        raise DatasetError(
            f"{file.name} is a zip file: python -m datasets.gather makes a data set of it"
        )
    try:
        document = json.loads(file.read_bytes())  # in UTF-8, -16 or -32
    except (ValueError, RecursionError) as error:  # other text, a number or a nest without end
        raise DatasetError(f"{file.name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise DatasetError(f"{file.name} holds no JSON object")
    lists = ("categories", "images", "annotations")
    missing = [key for key in lists if not isinstance(document.get(key), list)]
    if missing:
        raise DatasetError(*(f"{file.name} has no list '{key}'" for key in missing))
    return document, FilmFiles(folder, file)


def _read_annotations(
    entries: list[Any],
    labels: dict[int, int],
    sizes: dict[int, tuple[int, int] | None],
    faults: list[str],
) -> dict[int, list[Annotation]]:
    """The objects of each image."""
    by_image: dict[int, list[Annotation]] = {key: [] for key in sizes}
    ids = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            faults.append(f"annotation number {index} is not an object")
            continue
        key, image_id = whole_number(entry.get("id")), whole_number(entry.get("image_id"))
        ids += [] if key is None else [str(key)]
        name = f"annotation {f'number {index}' if key is None else key}"
        if image_id is None:
            faults.append(f"{name} has no integer 'image_id'")
        elif image_id not in sizes:
            faults.append(f"{name} is of image {image_id}, which is not there")
        else:
            try:
                by_image[image_id] += _read_annotation(entry, labels, sizes[image_id])
            except ValueError as error:
                faults.append(f"{name} of image {image_id}: {error}")
    faults += repeated("annotation id", ids)
    return by_image


def _read_annotation(
    entry: dict[str, Any], labels: dict[int, int], size: tuple[int, int] | None
) -> list[Annotation]:
    """One object, or none on an image without a valid size, whose own fault is told."""
    category_id, is_crowd = whole_number(entry.get("category_id")), as_flag(entry.get("iscrowd"))
    if category_id is None or category_id not in labels:
        raise ValueError(f"it is of category {entry.get('category_id')!r}, which is not there")
    if is_crowd is None:
        raise ValueError(f"its 'iscrowd' must be 0 or 1, not {entry['iscrowd']!r}")
    if size is None:
        return []
    polygons, rle = read_outline(entry.get("segmentation"), size)
    area = float(coco_mask.area(rle)) if rle else sum(map(polygon_area, polygons))
    key, box = whole_number(entry.get("id")), as_box(entry.get("bbox"))
    return [Annotation(labels[category_id], polygons, rle, area, is_crowd, key, box)]


def _read_images(
    entries: list[tuple[int, dict[str, Any]]],
    sizes: dict[int, tuple[int, int] | None],
    files: Films,
    objects: dict[int, list[Annotation]],
    faults: list[str],
) -> Iterator[ImageRecord]:
    shown: dict[tuple[Path, int], int] = {}
    first: dict[Path, int] = {}
    lost: list[str] = []
    for key, entry in entries:
        size, path, own = sizes[key], None, []
        if size is None:
            own.append(" has no valid 'height' and 'width'")
        try:
            path = _film(entry, files)
            other = shown.setdefault((path, frame_of(entry)), key)
            if other != key:
                own.append(f": {path.name} is the film of image {other} too")
        except ValueError as error:
            own.append(f": {error}")
            lost.append(f"image {key}: {error}")
        own += image_faults(entry)
        faults += [f"image {key}{fault}" for fault in own]
        if own or path is None or size is None:
            continue
        spacing_mm = entry.get("pixel_spacing_mm")
        yield ImageRecord(
            image_id=key,
            path=path,
            height=size[0],
            width=size[1],
            patient=patient_of(first.setdefault(path, key), entry),
            annotations=tuple(objects[key]),
            spacing_mm=None if spacing_mm is None else (spacing_mm[0], spacing_mm[1]),
            frame=frame_of(entry),
        )
    if 1 < len(lost) == len(entries):
        faults[:] = [fault for fault in faults if fault not in set(lost)]
        faults.append(
            f"none of the {len(lost):,} films is found; {lost[0]}. Give the folder that holds "
            "annotations and films, or the annotation file within it"
        )


def _film(entry: dict[str, Any], files: Films) -> Path:
    name = entry.get("file_name")
    if not isinstance(name, str):
        raise ValueError("it has no 'file_name'")
    # The documents of `python -m solo` lead to the films where they were, in whatever folder.
    return files.find(name, anywhere="frames" in entry)
