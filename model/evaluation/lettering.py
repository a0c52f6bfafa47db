"""Text in pictures, of any script, by OpenCV's own font."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

BLACK: Colour = (30, 30, 30)
TEXT_SIZE = 15  # pixels


def write(
    picture: Picture,
    text: str,
    place: tuple[int, int],
    size: int = TEXT_SIZE,
    colour: Colour = BLACK,
    align: float = 0,
) -> None:
    """Writes a line of any script: (x, y) is on its base line, `align` 0 left of it to 1 right."""
    x = place[0] - round(align * text_width(text, size))
    cv2.putText(picture, text, (x, place[1]), colour, cv2.FontFace("sans"), size)


def write_upwards(picture: Picture, text: str, place: tuple[int, int], align: float) -> None:
    """The same from below to above: (x, y) is on its base line."""
    width = text_width(text) + 4
    strip: Picture = np.full((TEXT_SIZE + 10, width, 3), 255, np.uint8)
    write(strip, text, (2, TEXT_SIZE + 2))
    upright = np.rot90(strip)
    x = max(0, place[0] - TEXT_SIZE - 2)
    bottom = min(picture.shape[0], place[1] + round(align * width))
    top = max(0, bottom - width)
    picture[top:bottom, x : x + upright.shape[1]] = upright[width - (bottom - top) :]


def text_width(text: str, size: int = TEXT_SIZE) -> int:
    """In pixels."""
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), size)
    return width
