"""Geometric augmentation: random placements of a film on the canvas."""

from __future__ import annotations

import math

import numpy as np

from model.data.rasterise import Affine


def random_placement(
    image_size: tuple[int, int], canvas_size: tuple[int, int], rng: np.random.Generator
) -> Affine:
    """A random similarity with a little aspect change, mirrored half of the time.

    The film is first fitted to the canvas as a letterbox does, then scaled by 0.7 to 1.25, its
    aspect changed by up to 15 %, turned by up to 20 degrees (most films by less), and moved. A film
    larger than the canvas is cropped, a smaller one lies anywhere on it.

    Returns:
        float64 [2, 3], from image to canvas coordinates, both with corners at integers.
    """
    height, width = image_size
    canvas = np.array(canvas_size[::-1], np.float64)
    fit = min(canvas[0] / width, canvas[1] / height) * math.exp(
        rng.uniform(math.log(0.7), math.log(1.25))
    )
    aspect = math.exp(rng.uniform(-0.14, 0.14))
    angle = math.radians(float(np.clip(rng.normal(0, 7), -20, 20)))
    scale = np.diag([fit * math.sqrt(aspect), fit / math.sqrt(aspect)])
    if rng.random() < 0.5:
        scale[0, 0] *= -1
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ scale
    room = np.abs(canvas - np.array([width, height]) * fit)
    centre = canvas / 2 + rng.uniform(-0.5, 0.5, 2) * np.maximum(room, 0.1 * canvas)
    shift = centre - linear @ (width / 2, height / 2)
    return np.column_stack([linear, shift])
