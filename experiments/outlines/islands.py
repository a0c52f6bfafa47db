"""Pieces of masks: how many there are of each size, how far off, and what is left without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from experiments.outlines.judged import Judged, dice
from solo.contract.instances import inside
from solo.masks.islands import remove_islands

SIZES: Final = (1, 2, 3, 4, 6, 8, 12)
GAPS: Final = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Piece:
    """A piece that is not the largest of its mask: its pixels, and those to the nearest other."""

    pixels: int
    gap: int


@dataclass(frozen=True)
class Removal:
    """What is gone of a mask: its pixels at the mask stride, and the Dice before and after."""

    judged: Judged
    pixels: int
    dice: float

    @property
    def gain(self) -> float:
        """The change of the Dice."""
        return self.dice - self.judged.dice


def smaller_pieces(one: Judged, threshold: float) -> Iterator[Piece]:
    """All pieces of a mask but the largest."""
    mask = inside(one.soft, threshold)
    count, piece = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    pixels = np.bincount(piece[mask], minlength=count)
    for number in np.argsort(-pixels)[1 : count - 1].tolist():
        others = mask & (piece != number)
        away = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_C, 3)
        yield Piece(int(pixels[number]), int(away[piece == number].min()) - 1)


def removals(judged: Sequence[Judged], most_pixels: int, threshold: float) -> list[Removal]:
    """The masks that have islands of so many pixels."""
    found = []
    for one in judged:
        cleared = remove_islands(one.soft[None], most_pixels, threshold)[0]
        gone = int((inside(one.soft, threshold) & ~inside(cleared, threshold)).sum())
        if gone:
            after = dice(cleared, one.letterbox, one.truth, threshold)
            found.append(Removal(one, gone, after))
    return found
