"""Pictures of a film: annotated objects beside found instances."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.data.radiograph import read_radiograph
from model.evaluation.average_precision import outlines
from model.evaluation.images import ImageQuality
from solo.contract.letterbox import Letterbox

Picture = npt.NDArray[np.uint8]

TRUE_COLOUR = (90, 220, 90)  # blue, green, red
FOUND_COLOUR = (70, 70, 255)
_LONGEST = 768  # pixels
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_image(film: ImageQuality, class_names: Sequence[str]) -> Picture:
    """Two copies of a film side by side: its objects, and the instances that are shown.

    Returns:
        uint8 [height, width, 3], BGR, the film's longer side 768 pixels.
    """
    record = film.record
    scale = _LONGEST / max(record.height, record.width)
    size = max(1, round(record.height * scale)), max(1, round(record.width * scale))
    grey = Letterbox.fit((record.height, record.width), size).apply(read_radiograph(record))
    true, found = (cv2.cvtColor((grey * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR) for _ in "tf")
    for rle in outlines(record, crowd=False):
        _outline(true, coco_mask.decode(rle) > 0, TRUE_COLOUR)
    for rle, label, score in list(zip(film.rles, film.labels, film.scores, strict=True))[
        : film.shown
    ]:
        x, y = _outline(found, coco_mask.decode(rle) > 0, FOUND_COLOUR)
        _write(found, f"{class_names[label]} {score:.2f}", (x, y))
    _write(true, f"image {record.image_id}: {_counted(len(film.objects), 'object')}", (6, 18))
    _write(found, f"{_counted(film.shown, 'instance')}, quality {film.worth:.3f}", (6, 18))
    return np.hstack([true, found]).astype(np.uint8, copy=False)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _outline(
    picture: cv2.typing.MatLike, mask: npt.NDArray[np.bool_], colour: tuple[int, int, int]
) -> tuple[int, int]:
    """Draws a mask's edge, returns (x, y) of its upper left."""
    scaled = cv2.resize(
        mask.astype(np.uint8) * 255, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR
    )
    inside = (scaled > 127).astype(np.uint8)
    edges, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, edges, -1, colour, 1)
    x, y, _, _ = cv2.boundingRect(inside)
    return x, y + 10


def _write(picture: cv2.typing.MatLike, text: str, place: tuple[int, int]) -> None:
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.4, 1)
    x, y = place
    cv2.rectangle(picture, (x - 2, y - height - 3), (x + width + 2, y + 4), (0, 0, 0), -1)
    cv2.putText(picture, text, place, _FONT, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
