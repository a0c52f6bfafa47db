"""Pictures of a result: overlays and label maps, and the PNG files that say what they are."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from solo.contract.manifest import RESEARCH_USE_ONLY
from solo.result import Result

Picture = npt.NDArray[np.uint8]

_LONGEST_SIDE: Final = 1600
COLOURS: Final = ((255, 176, 64), (96, 208, 80), (64, 160, 255), (224, 96, 224), (64, 224, 240))
_WHITE: Final = (255, 255, 255)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_FRACTION_BITS: Final = 4
_END_CHUNK_BYTES: Final = 12
# To try all filters for each row takes three times as long and saves no byte, and what a filter of
# differences leaves is mostly runs of one value.
_PNG: Final = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
)


def overlay(pixels: Picture, result: Result) -> Picture:
    """The radiograph with outlines, labels and scores, at most 1600 pixels a side.

    Args:
        pixels: uint8 [height, width], of the result's radiograph.
        result: what to draw.

    Returns:
        uint8 [H, W, 3], BGR.
    """
    scale = min(1.0, _LONGEST_SIDE / max(pixels.shape))
    if scale < 1:
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    picture = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    thickness = max(1, round(min(picture.shape[:2]) / 400))
    text_scale = max(0.3, min(picture.shape[:2]) / 1200)
    for index, instance in enumerate(result.instances):
        colour = COLOURS[index % len(COLOURS)]
        for outline in instance.polygons():
            _draw_outline(picture, np.reshape(outline, (-1, 2)) * scale, colour, thickness)
        place = (round(instance.bbox[0] * scale), round(instance.bbox[1] * scale))
        _write(picture, f"{instance.label} {instance.origin}", place, text_scale, colour)
    notice = f"{RESEARCH_USE_ONLY.partition('.')[0]}."
    top = _write(picture, notice, (0, picture.shape[0]), text_scale, _WHITE)
    strange = result.out_of_distribution
    if strange is not None and strange.flagged:
        # Beside the notice where a film is low, and above it where it is narrow: both can be read.
        flag = f"Out of distribution ({strange.score:.2f})."
        _write(picture, flag, (picture.shape[1], top), text_scale, _WHITE)
    return picture


def label_map(result: Result) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """N where the result's n-th instance is, from 1; 0 elsewhere: [height, width].

    Where instances overlap, the better one is in front. uint8, or uint16 for more than 255 of them.
    """
    kind = np.uint8 if len(result.instances) < 256 else np.uint16
    height, width = result.radiograph.height, result.radiograph.width
    edges = [instance.runs.edges() for instance in result.instances]
    # Between two edges of whatever masks all pixels are alike: each stretch is labelled but once.
    bounds = np.sort(np.concatenate([[0, height * width], *map(np.ravel, edges)]))
    stretches = np.zeros(len(bounds) - 1, kind)
    for number in range(len(edges), 0, -1):
        first, end = np.searchsorted(bounds, edges[number - 1]).T
        count = end - first
        before = np.cumsum(count) - count
        stretches[np.repeat(first - before, count) + np.arange(count.sum())] = number
    columns = np.repeat(stretches, np.diff(bounds)).reshape(width, height)
    labels = np.empty((height, width), kind)
    cv2.transpose(columns, labels)
    return labels


def encode_png(
    picture: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], about: str | None = None
) -> bytes:
    """A PNG file.

    Args:
        picture: uint8 or uint16 [H, W], or uint8 [H, W, 3] BGR.
        about: ASCII text for a `Comment`, or None for no text at all.
    """
    encoded = cv2.imencode(".png", picture, _PNG)[1].tobytes()
    if about is None:
        return encoded
    body = b"tEXtComment\0" + about.encode("ascii")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return encoded[:-_END_CHUNK_BYTES] + chunk + encoded[-_END_CHUNK_BYTES:]


def describe(result: Result, **more: str) -> str:
    """Text for a picture of a result: the model, the file's hash, the score and the instances.

    Args:
        result: nothing else of its file is told.
        more: told beside, such as the id of a request.
    """
    strange = result.out_of_distribution
    return json.dumps(
        {
            "notice": RESEARCH_USE_ONLY,
            **more,
            "model": asdict(result.model),
            "sha256": result.sha256,
            "out_of_distribution": strange and asdict(strange),
            "instances": [
                {
                    "label": instance.label,
                    "category_id": instance.category_id,
                    "score": instance.score,
                    "outline_uncertainty": instance.outline_uncertainty,
                    "bbox": instance.bbox,
                    "area": instance.area,
                }
                for instance in result.instances
            ],
        }
    )


def _draw_outline(
    picture: Picture, points: npt.NDArray[np.float64], colour: tuple[int, int, int], thickness: int
) -> None:
    # Pixel centres are whole numbers to OpenCV, pixel edges are to a polygon.
    fixed = ((points - 0.5) * 2**_FRACTION_BITS).round().astype(np.int32)
    cv2.polylines(picture, [fixed], True, colour, thickness, cv2.LINE_AA, _FRACTION_BITS)


def _write(
    picture: Picture, text: str, place: tuple[int, int], scale: float, colour: tuple[int, int, int]
) -> int:
    """Writes above a place (x, y), inside the picture; a dark rim keeps it legible on bone.

    Returns:
        The row above all that it wrote.
    """
    thickness = max(1, round(2 * scale))
    (width, height), base = cv2.getTextSize(text, _FONT, scale, thickness)
    x = max(0, min(place[0], picture.shape[1] - width))
    y = max(height, place[1] - base)
    for ink, width_ in (((0, 0, 0), thickness + 2), (colour, thickness)):
        cv2.putText(picture, text, (x, y), _FONT, scale, ink, width_, cv2.LINE_AA)
    return y - height - thickness - 2
