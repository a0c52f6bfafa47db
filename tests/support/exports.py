"""Films with exact shapes, and what annotation tools would export of them."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO

Mask = npt.NDArray[np.bool_]
SIZE = (48, 64)
Box = tuple[int, int, int, int]
# By film: class and rectangle (left, top, right, bottom), of whole pixels, right and bottom beyond.
SHAPES: dict[str, list[tuple[str, Box]]] = {
    "a": [("bolt", (4, 6, 20, 26)), ("nut", (30, 10, 50, 22))],
    "b": [("nut", (8, 8, 40, 40))],
    "c": [("bolt", (2, 3, 33, 18)), ("bolt", (10, 25, 60, 44))],
}


def mask_of(box: Box) -> Mask:
    """bool [48, 64], true within a rectangle."""
    left, top, right, bottom = box
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def truth() -> list[tuple[str, str, bytes]]:
    """Film, class and the bytes of the mask of each object, sorted."""
    return sorted(
        (film, name, mask_of(box).tobytes())
        for film, shapes in SHAPES.items()
        for name, box in shapes
    )


def gathered(folder: Path) -> list[tuple[str, str, bytes]]:
    """The same of a COCO data set, as pycocotools draws it."""
    with redirect_stdout(StringIO()):  # it tells how long it took
        coco = COCO(folder / "annotations.json")
    return sorted(
        (
            Path(coco.imgs[entry["image_id"]]["file_name"]).name.partition(".")[0],
            coco.cats[entry["category_id"]]["name"],
            coco.annToMask(entry).astype(bool).tobytes(),
        )
        for entry in coco.anns.values()
    )


def put_png(path: Path, pixels: npt.NDArray[Any]) -> Path:
    """Writes a PNG and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.asarray(pixels))
    return path


def film(name: str) -> npt.NDArray[np.uint8]:
    """A picture that no other name gives, with its shapes in it; uint8 [48, 64]."""
    pixels = np.full(SIZE, 20, np.uint8)
    pixels[0, : len(name) + 1] = sum(map(ord, name)) % 200
    for _, box in SHAPES.get(name, []):
        pixels[mask_of(box)] = 180
    return pixels


def put_films(folder: Path, names: str = "abc") -> Path:
    """Writes films `a.png` and so on."""
    for name in names:
        put_png(folder / f"{name}.png", film(name))
    return folder


def put_palette(
    path: Path, numbers: npt.NDArray[np.uint8], colours: dict[int, tuple[int, int, int]]
) -> Path:
    """Writes a PNG of palette entries (ISO/IEC 15948, colour type 3); colours are RGB."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", numbers.shape[1], numbers.shape[0], 8, 3, 0, 0, 0)
    palette = b"".join(bytes(colours.get(number, (0, 0, 0))) for number in range(256))
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in numbers))
    chunks = [(b"IHDR", head), (b"PLTE", palette), (b"IDAT", rows), (b"IEND", b"")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in chunks))
    return path


def put_text(path: Path, content: object) -> Path:
    """Writes a text, or JSON of whatever is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def ring(box: Box) -> list[float]:
    """A rectangle's polygon, flat."""
    left, top, right, bottom = box
    return [left, top, right, top, right, bottom, left, bottom]


def coco(names: str = "abc", *, crowd: bool = False, **of_image: Any) -> dict[str, Any]:
    """A COCO document; as crowds the objects have uncompressed run lengths, as CVAT's brush has."""
    images = [
        {"id": n, "file_name": f"{name}.png", "height": SIZE[0], "width": SIZE[1], **of_image}
        for n, name in enumerate(names, 1)
    ]
    annotations: list[dict[str, Any]] = []
    for number, name in enumerate(names, 1):
        for label, box in SHAPES[name]:
            outline: object = [ring(box)]
            if crowd:
                columns = mask_of(box).ravel("F")
                edges = np.flatnonzero(np.diff(columns)) + 1
                runs = np.diff([0, *edges, len(columns)]).tolist()
                outline = {"size": list(SIZE), "counts": runs}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1 + (label == "nut"),
                    "segmentation": outline,
                    "iscrowd": int(crowd),
                    "bbox": [0, 0, 1, 1],
                    "area": 1.0,
                }
            )
    categories = [{"id": 1, "name": "bolt"}, {"id": 2, "name": "nut"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def yolo_line(label: int, box: Box) -> str:
    """A polygon in parts of the film's size."""
    height, width = SIZE
    sides = [value / (height if place % 2 else width) for place, value in enumerate(ring(box))]
    return " ".join([str(label), *map(repr, sides)])


def put_yolo(films: Path, labels: Path, names: str = "abc") -> None:
    """Films and their label files."""
    for name in names:
        put_png(films / f"{name}.png", film(name))
        lines = [yolo_line(int(label == "nut"), box) for label, box in SHAPES[name]]
        put_text(labels / f"{name}.txt", "\n".join(lines) + "\n")


def labelme(name: str, **changes: Any) -> dict[str, Any]:
    """labelme's JSON of a film."""
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": [shape(label, box) for label, box in SHAPES[name]],
        "imagePath": f"{name}.png",
        "imageData": None,
        "imageHeight": SIZE[0],
        "imageWidth": SIZE[1],
        **changes,
    }


def shape(name: str, box: Box, **changes: Any) -> dict[str, Any]:
    """A polygon of labelme's."""
    flat = ring(box)
    return {
        "label": name,
        "points": [flat[place : place + 2] for place in range(0, 8, 2)],
        "group_id": None,
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
        **changes,
    }


def encoded(pixels: npt.NDArray[Any]) -> str:
    """A PNG in base64."""
    return base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()


def label_map(name: str, kind: Any = np.uint8) -> npt.NDArray[Any]:
    """The number of the object in each pixel, from 1 on."""
    labels = np.zeros(SIZE, kind)
    for number, (_, box) in enumerate(SHAPES[name], 1):
        labels[mask_of(box)] = number
    return labels


def renamed(objects: list[tuple[str, str, bytes]], **names: str) -> list[tuple[str, str, bytes]]:
    """The same objects with other class names."""
    return sorted((film, names.get(label, label), mask) for film, label, mask in objects)
