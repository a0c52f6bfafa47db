"""Small data sets in COCO format: bright discs and squares on dark films."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from tests.support.tiny import CATEGORIES

Document = dict[str, Any]
SIZE = (80, 100)
DISC, SQUARE = CATEGORIES[1]
_UNREAD = ("film.png", "b.png", "c.png", "d.png")


def document(**changes: Any) -> Document:
    """One film `film.png` of `SIZE` with one square; its image id is 7, its annotation id 70."""
    defaults: Document = {
        "categories": [{"id": key, "name": name} for name, key in zip(*CATEGORIES, strict=True)],
        "images": [image()],
        "annotations": [annotation()],
    }
    return {**defaults, **changes}


def image(**changes: Any) -> Document:
    """The entry of image 7; a change to None takes the key away."""
    entry = {"id": 7, "file_name": "film.png", "height": SIZE[0], "width": SIZE[1]}
    return {key: value for key, value in {**entry, **changes}.items() if value is not None}


def annotation(**changes: Any) -> Document:
    """The entry of annotation 70, of image 7; a change to None takes the key away."""
    entry = {
        "id": 70,
        "image_id": 7,
        "category_id": SQUARE,
        "segmentation": [[20, 10, 60, 10, 60, 50, 20, 50]],
    }
    return {key: value for key, value in {**entry, **changes}.items() if value is not None}


def write(folder: Path, content: Document, films: Mapping[str, npt.NDArray[np.uint8]]) -> Path:
    """Writes the JSON and the films, returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    for name, film in films.items():
        (folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), np.asarray(film))
    return folder


def write_unread(folder: Path, content: Document) -> Path:
    """The films are no images at all: whoever decodes one of them fails."""
    write(folder, content, {})
    for entry in content["images"]:
        if isinstance(entry, dict) and entry.get("file_name") in _UNREAD:
            (folder / entry["file_name"]).write_bytes(b"not a picture")
    return folder


def rectangle_mask(top: int, left: int, bottom: int, right: int) -> npt.NDArray[np.uint8]:
    """uint8 of `SIZE` in pycocotools' order, 1 within the rectangle."""
    mask = np.zeros(SIZE, np.uint8, order="F")
    mask[top:bottom, left:right] = 1
    return mask


def compressed(mask: npt.NDArray[np.uint8]) -> Document:
    """A mask as COCO's compressed run lengths."""
    return {"size": list(SIZE), "counts": coco_mask.encode(mask)["counts"].decode()}


def circle(centre: tuple[float, float], radius: float, corners: int = 60) -> list[float]:
    """A disc's polygon as COCO writes it; the centre is (x, y) with pixel corners at integers."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    x, y = centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)
    return [float(v) for v in np.stack([x, y], 1).ravel()]


def disc_film(
    centre: tuple[float, float], radius: float, size: tuple[int, int] = SIZE
) -> npt.NDArray[np.uint8]:
    """A disc of 220 on 40, uint8 [height, width]."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    inside = (columns - centre[0]) ** 2 + (rows - centre[1]) ** 2 < radius**2
    return np.where(inside, 220, 40).astype(np.uint8)


def disc_folder(
    folder: Path, count: int = 4, *, empty: tuple[int, ...] = (), seed: int = 5
) -> Path:
    """`count` films with a disc each, of as many patients; those in `empty` show nothing.

    Image ids are 10, 11, ...; patients are "p0", "p1", ...
    """
    rng = np.random.default_rng(seed)
    images, annotations, films = [], [], {}
    for index in range(count):
        centre, radius = (float(rng.uniform(35, 65)), float(rng.uniform(30, 50))), 22.0
        name = f"{index}.png"
        images.append(image(id=10 + index, file_name=name, patientid=f"p{index}"))
        if index in empty:
            films[name] = np.full(SIZE, 40, np.uint8)
            continue
        films[name] = disc_film(centre, radius)
        outline = [circle(centre, radius)]
        annotations.append(
            annotation(id=index, image_id=10 + index, category_id=DISC, segmentation=outline)
        )
    return write(folder, document(images=images, annotations=annotations), films)
