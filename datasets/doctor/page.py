"""Contact sheet of films with their objects, those in trouble in colours."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import numpy.typing as npt

from datasets.doctor.cells import Survey, place_objects
from datasets.doctor.findings import counted
from model.data.coco import CocoDataset, ImageRecord
from model.data.radiograph import read_radiograph
from solo.contract.letterbox import Letterbox

Picture = npt.NDArray[np.uint8]

COLOURS: dict[str | None, tuple[int, int, int]] = {  # blue, green, red
    None: (90, 200, 90),
    "lost": (60, 60, 255),
    "shared": (0, 165, 255),
    "too small": (0, 255, 255),
    "out of scale range": (255, 80, 255),
}
_TILE = 384  # pixels
_GAP = 2
_COLUMNS = 4
_HEADER = 28


def draw_page(data: CocoDataset, survey: Survey, most: int = 12) -> Picture:
    """Draws the contact sheet: the films in most trouble first, then others.

    Args:
        data: at least one film.
        survey: of all of its objects.
        most: films on the page.

    Returns:
        uint8 [height, width, 3], BGR.
    """
    trouble = Counter(item.image_id for item in survey.objects if item.trouble)
    records = sorted(data.images, key=lambda record: -trouble[record.image_id])[:most]
    tiles = [_tile(record, survey) for record in records]
    columns = min(_COLUMNS, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    body = np.vstack(rows)
    return np.vstack([_legend(body.shape[1]), body])


def _tile(record: ImageRecord, survey: Survey) -> cv2.typing.MatLike:
    canvas_size = survey.config.canvas_size
    grey = Letterbox.fit((record.height, record.width), canvas_size).apply(read_radiograph(record))
    tile = _fit(cv2.cvtColor((grey * 200).astype(np.uint8), cv2.COLOR_GRAY2BGR))
    seen = [item for item in survey.objects if item.image_id == record.image_id]
    masks = place_objects(record, canvas_size).masks.numpy()
    for item, mask in zip(seen, masks, strict=True):
        inside = (_fit(mask) >= 64).astype(np.uint8)
        outlines, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(tile, outlines, -1, COLOURS[item.trouble], 1)
    label = f"image {record.image_id}: {counted(len(seen), 'object')}"
    cv2.putText(tile, label, (6, _TILE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
    return cv2.copyMakeBorder(tile, 0, _GAP, 0, _GAP, cv2.BORDER_CONSTANT, value=(96, 96, 96))


def _fit(image: npt.NDArray[np.uint8] | cv2.typing.MatLike) -> Picture:
    """Onto a square tile, at the top left."""
    scale = _TILE / max(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    tile = np.zeros((_TILE, _TILE, *image.shape[2:]), np.uint8)
    tile[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return tile


def _legend(width: int) -> Picture:
    legend = np.zeros((_HEADER, width, 3), np.uint8)
    place = 6
    for trouble, colour in COLOURS.items():
        text = trouble or "as it should be"
        cv2.putText(legend, text, (place, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1)
        place += 12 + cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0]
    return legend
