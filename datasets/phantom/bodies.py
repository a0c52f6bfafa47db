"""Simple solids with exact path lengths of rays through them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from datasets.phantom.radiograph import Image

Thickness = Callable[[Image, Image], Image]
"""Of normalised coordinates along and across the solid, where the outline lies within [-1, 1]:
the part of its depth that a ray passes, 0 outside."""

_TUBE = 0.28  # radius of a ring's tube, where the ring's outer radius is 1


def ball(along: Image, across: Image) -> Image:
    """An ellipsoid."""
    return _depth(np.square(along) + np.square(across))


def box(along: Image, across: Image) -> Image:
    """A cuboid, lying flat."""
    return _where((np.abs(along) < 1) & (np.abs(across) < 1), np.ones_like(along))


def cylinder(along: Image, across: Image) -> Image:
    """A cylinder on its side."""
    return _where(np.abs(along) < 1, _depth(across**2))


def ring(along: Image, across: Image) -> Image:
    """A torus, lying flat: nothing is in its middle."""
    from_tube = (np.hypot(along, across) - (1 - _TUBE)) / _TUBE
    return _depth(np.square(from_tube))


def wedge(along: Image, across: Image) -> Image:
    """A triangular plate that grows thicker from its edge to its tip."""
    inside = (np.abs(along) < 1) & (np.abs(across) < (1 - along) / 2)
    return _where(inside, 0.4 + 0.3 * (1 + along))


SHAPES: dict[str, Thickness] = {
    "ball": ball,
    "box": box,
    "cylinder": cylinder,
    "ring": ring,
    "wedge": wedge,
}


@dataclass(frozen=True)
class Body:
    """A solid in the beam; lengths in detector pixels, its magnification included.

    Attributes:
        shape: one of `SHAPES`.
        center: (row, column), with pixel corners at integers.
        half_axes: (along, across).
        angle: radians from the columns' direction to the solid's own length.
        absorption: exponent of Beer and Lambert where the solid is thickest, beyond what it
            displaces.
    """

    shape: str
    center: tuple[float, float]
    half_axes: tuple[float, float]
    angle: float
    absorption: float

    @property
    def radius(self) -> float:
        """Radius of the circle about it; corners of a box reach out a little."""
        return max(self.half_axes)

    def window(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of a film of `size` that hold all of the body that is on it."""
        reach = math.hypot(*self.half_axes)
        first = [max(0, math.floor(center - reach)) for center in self.center]
        last = [
            max(start, min(side, math.ceil(center + reach)))
            for start, side, center in zip(first, size, self.center, strict=True)
        ]
        return slice(first[0], last[0]), slice(first[1], last[1])

    def thickness(self, window: tuple[slice, slice]) -> Image:
        """Path length of the ray to each pixel's centre, as a part of the body's depth.

        Returns:
            float32 [rows, columns] of the window, 0 to 1, 0 where the ray misses.
        """
        rows = np.arange(window[0].start, window[0].stop) + 0.5 - self.center[0]
        columns = np.arange(window[1].start, window[1].stop) + 0.5 - self.center[1]
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        along = (columns * cosine + rows[:, None] * sine) / self.half_axes[0]
        across = (rows[:, None] * cosine - columns * sine) / self.half_axes[1]
        return SHAPES[self.shape](along.astype(np.float32), across.astype(np.float32))


def _depth(squared: Image) -> Image:
    """Of a round solid at a squared distance from its axis."""
    return np.asarray(np.sqrt(np.maximum(1 - squared, 0)), np.float32)


def _where(inside: object, values: Image) -> Image:
    return np.where(np.asarray(inside, np.bool_), values, np.float32(0)).astype(np.float32)
