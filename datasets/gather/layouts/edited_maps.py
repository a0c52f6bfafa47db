"""Label maps of `python -m solo --format coco,label-map`, which somebody may have corrected."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from datasets.gather.layouts.export import Loss
from datasets.gather.layouts.pictures import as_rle, read_labels
from model.data.coco_values import image_size, is_text, whole_number
from model.data.outlines import read_outline

Entry = dict[str, Any]


def take_edited_maps(document: Entry, source: Path) -> tuple[list[str], list[Loss]]:
    """Replaces a film's objects by its label map where that is no longer what they draw.

    Where the map is as it was written its document counts, which has objects whole that the map has
    behind others.

    Args:
        document: to change.
        source: the folder that has the document, or the document's file.

    Returns:
        What is to be said of it, and what was dropped: objects of numbers that the document has no
        class for, and maps that cannot be read.
    """
    folder = (source.parent if source.is_file() else source).resolve()
    images = [
        entry
        for entry in document["images"]
        if isinstance(entry, dict) and is_text(entry.get("label_map"))
    ]
    if not images:
        return [], []
    by_image: defaultdict[int | None, list[Entry]] = defaultdict(list)
    for entry in document["annotations"]:
        if isinstance(entry, dict):
            by_image[whole_number(entry.get("image_id"))].append(entry)
    lost: list[Loss] = []
    new: list[Entry] = []
    edited: set[int | None] = set()
    for image in images:
        key = whole_number(image.get("id"))
        try:
            found = _edited(image, by_image[key], folder)
        except ValueError as error:
            lost.append(Loss(f"the label map '{image['label_map']}' is passed over: {error}"))
            continue
        if found is not None:
            edited.add(key)
            new += found
            unknown = sum(entry["category_id"] is None for entry in found)
            new = [entry for entry in new if entry["category_id"] is not None]
            if unknown:
                lost.append(_without_class(image, unknown))
    document["annotations"] = [
        entry
        for entry in document["annotations"]
        if not (isinstance(entry, dict) and whole_number(entry.get("image_id")) in edited)
    ] + new
    said = f"Label maps that were edited: {len(edited):,}. They count in place of the document."
    return ([said] if edited else []), lost


def _without_class(image: Entry, count: int) -> Loss:
    return Loss(
        f"the label map '{image['label_map']}' has {count} numbers that the document has no "
        "instance for: draw them with the number of an instance of their class",
        instances=count,
    )


def _edited(image: Entry, entries: list[Entry], folder: Path) -> list[Entry] | None:
    """The objects of an image's label map, or None where the document draws the same."""
    path = (folder / image["label_map"]).resolve()
    size = image_size(image.get("height"), image.get("width"))
    if size is None or not path.is_relative_to(folder) or not path.is_file():
        raise ValueError("it is not there")
    labels = read_labels(path.read_bytes(), size)
    drawn = np.zeros_like(labels)
    for number, entry in reversed(list(enumerate(entries, 1))):  # the first one is in front
        drawn[_mask(entry, size)] = number
    if np.array_equal(labels, drawn):
        return None
    classes = dict(enumerate((entry.get("category_id") for entry in entries), 1))
    return [
        {
            "image_id": image["id"],
            "category_id": classes.get(number),
            "segmentation": as_rle(labels == number),
        }
        for number in np.unique(labels[labels > 0]).tolist()
    ]


def _mask(entry: Entry, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    polygons, rle = read_outline(entry.get("segmentation"), size)
    if rle is None:
        rings = [ring.ravel().tolist() for ring in polygons]
        rle = coco_mask.merge(coco_mask.frPyObjects(rings, *size))
    return np.asarray(coco_mask.decode(rle), bool)
