"""Geometric augmentation: random placements of a film on the canvas."""

from __future__ import annotations

import math

import numpy as np

from model.configuration.recipe import Augmentation
from model.data.rasterise import Affine

_LARGEST_ANGLE = 20  # degrees


def random_placement(
    image_size: tuple[int, int],
    canvas_size: tuple[int, int],
    strengths: Augmentation,
    rng: np.random.Generator,
) -> Affine:
    """A random similarity with a little aspect change, mirrored or not.

    The film is first fitted to the canvas as a letterbox does, then scaled, its aspect changed,
    turned, mirrored and moved, as far as `strengths` allow. A film larger than the canvas is
    cropped, a smaller one lies anywhere on it.

    Returns:
        float64 [2, 3], from image to canvas coordinates, both with corners at integers.
    """
    height, width = image_size
    canvas = np.array(canvas_size[::-1], np.float64)
    fit = min(canvas[0] / width, canvas[1] / height) * math.exp(
        rng.uniform(*np.log(strengths.scale))
    )
    aspect = math.exp(rng.uniform(-strengths.aspect, strengths.aspect))
    angle = rng.normal(0, strengths.rotation_degrees)
    angle = math.radians(float(np.clip(angle, -_LARGEST_ANGLE, _LARGEST_ANGLE)))
    scale = np.diag([fit * math.sqrt(aspect), fit / math.sqrt(aspect)])
    if rng.random() < strengths.mirror:
        scale[0, 0] *= -1
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ scale
    room = np.abs(canvas - np.array([width, height]) * fit)
    centre = canvas / 2 + rng.uniform(-0.5, 0.5, 2) * np.maximum(room, 0.1 * canvas)
    shift = centre - linear @ (width / 2, height / 2)
    return np.column_stack([linear, shift])
