"""Maps of the canvas: at which places a network has learned its task."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from experiments.coord_conv.learning import Lesson

Picture = npt.NDArray[np.uint8]

_TILE = 192  # pixels
_MARGIN, _TITLE = 8, 22
_PAPER, _INK = 255, 30  # grey
_RIGHT = np.array((120, 160, 40), np.float32)  # blue, green, red
_WRONG = np.array((60, 60, 220), np.float32)
_NOT_ASKED = (225, 225, 225)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_maps(rows: Sequence[Sequence[tuple[str, Lesson]]]) -> Picture:
    """A map for each lesson: green where the answer is right, red where it is wrong.

    Dots mark the places that were held out. Around the map is where no square fits.

    Args:
        rows: of titles and lessons, all of one length.

    Returns:
        uint8 [height, width, 3], BGR.
    """
    return np.vstack([np.hstack([_tile(*each) for each in row]) for row in rows])


def _tile(title: str, lesson: Lesson) -> Picture:
    scores, held_out = lesson.scores.numpy(), lesson.held_out.numpy()
    shares = np.nan_to_num(scores)[..., None]
    small = shares * _RIGHT + (1 - shares) * _WRONG
    small[np.isnan(scores)] = _NOT_ASKED
    size = (_TILE, _TILE)
    tiled = cv2.resize(small.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    cell = _TILE / len(scores)
    for row, column in np.argwhere(held_out):
        cv2.circle(tiled, (int((column + 0.5) * cell), int((row + 0.5) * cell)), 1, (0, 0, 0), -1)
    width, height = _TILE + 2 * _MARGIN, _TILE + _TITLE + _MARGIN
    page = np.full((height, width, 3), _PAPER, np.uint8)
    page[_TITLE : _TITLE + _TILE, _MARGIN : _MARGIN + _TILE] = tiled
    place, ink = (_MARGIN, _TITLE - 7), (_INK,) * 3
    cv2.putText(page, title, place, _FONT, 0.38, ink, 1, cv2.LINE_AA)
    return page
