"""Answers as PNG: the film with its outlines, for a quick look, and a map of the instances.

What was found, by which model, stands in a text chunk; nothing of the file's own text does.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from app.schemas import ImageAnswer, Instance
from solo.contract.manifest import RESEARCH_USE_ONLY
from solo.masks.polygons import bitmap, polygons

Picture = npt.NDArray[np.uint8]

_LONGEST_SIDE: Final = 1600
_COLOURS: Final = ((255, 176, 64), (96, 208, 80), (64, 160, 255), (224, 96, 224), (64, 224, 240))
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_FRACTION_BITS: Final = 4
_END_CHUNK_BYTES: Final = 12


def overlay(film: Picture, answer: ImageAnswer, about: str) -> bytes:
    """The film with outlines, labels and scores, at most 1600 pixels a side.

    Args:
        film: uint8 [height, width].
        answer: of this film.
        about: ASCII text for the PNG.
    """
    scale = min(1.0, _LONGEST_SIDE / max(film.shape))
    if scale < 1:
        size = (max(1, round(film.shape[1] * scale)), max(1, round(film.shape[0] * scale)))
        film = np.asarray(cv2.resize(film, size, interpolation=cv2.INTER_AREA), np.uint8)
    picture = np.asarray(cv2.cvtColor(film, cv2.COLOR_GRAY2BGR), np.uint8)
    thickness = max(1, round(min(picture.shape[:2]) / 400))
    text_scale = max(0.3, min(picture.shape[:2]) / 1200)
    for index, instance in enumerate(answer.instances):
        colour = _COLOURS[index % len(_COLOURS)]
        for outline in polygons(instance):
            _draw_outline(picture, np.reshape(outline, (-1, 2)) * scale, colour, thickness)
        place = (round(instance.bbox[0] * scale), round(instance.bbox[1] * scale))
        _write(picture, f"{instance.label} {instance.score:.2f}", place, text_scale, colour)
    sentences = f"{RESEARCH_USE_ONLY.partition('.')[0]}."
    _write(picture, sentences, (0, picture.shape[0]), text_scale, (255, 255, 255))
    return _png(picture, about)


def label_map(answer: ImageAnswer, about: str) -> bytes:
    """A grey PNG of the film's size: n where the answer's n-th instance is, from 1; 0 elsewhere.

    Where instances overlap, the better one is in front. 8 bits, or 16 for more than 255 of them.
    """
    kind = np.uint8 if len(answer.instances) < 256 else np.uint16
    labels = np.zeros((answer.height, answer.width), kind)
    for number, instance in reversed(list(enumerate(answer.instances, 1))):
        _put(labels, instance, number)
    return _png(labels, about)


def _put(
    labels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], instance: Instance, number: int
) -> None:
    x, y, width, height = instance.bbox
    labels[y : y + height, x : x + width][bitmap(instance) > 0] = number


def _draw_outline(
    picture: Picture, points: npt.NDArray[np.float64], colour: tuple[int, int, int], thickness: int
) -> None:
    # Pixel centres are whole numbers to OpenCV, pixel edges are to a polygon.
    fixed = ((points - 0.5) * 2**_FRACTION_BITS).round().astype(np.int32)
    cv2.polylines(picture, [fixed], True, colour, thickness, cv2.LINE_AA, _FRACTION_BITS)


def _write(
    picture: Picture, text: str, place: tuple[int, int], scale: float, colour: tuple[int, int, int]
) -> None:
    """Writes above a place (x, y), inside the picture; a dark rim keeps it legible on bone."""
    thickness = max(1, round(2 * scale))
    (width, height), base = cv2.getTextSize(text, _FONT, scale, thickness)
    x = max(0, min(place[0], picture.shape[1] - width))
    y = max(height, place[1] - base)
    for ink, width_ in (((0, 0, 0), thickness + 2), (colour, thickness)):
        cv2.putText(picture, text, (x, y), _FONT, scale, ink, width_, cv2.LINE_AA)


def _png(picture: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], about: str) -> bytes:
    encoded = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    body = b"tEXtComment\0" + about.encode("ascii")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return encoded[:-_END_CHUNK_BYTES] + chunk + encoded[-_END_CHUNK_BYTES:]
