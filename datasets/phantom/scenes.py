"""Scenes of simple solids, each hard for a segmentation network in one way."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from datasets.phantom.bodies import SHAPES, Body
from datasets.phantom.exposure import Exposure, develop, expose
from datasets.phantom.radiograph import Image, PhantomObject, PhantomRadiograph

Size = tuple[int, int]
Scene = Callable[[np.random.Generator, Size], list[Body]]

CATEGORIES = tuple(SHAPES)
_PIXEL_MM = 0.4
_WATER_PER_MM = 0.0205  # linear attenuation near 60 keV
_REFERENCE_SIDE = 512  # the sizes below are in pixels of a film of this size


def crowded(rng: np.random.Generator, size: Size) -> list[Body]:
    """Thirty to fifty solids side by side; neighbours overlap a little."""
    return _scatter(rng, size, int(rng.integers(30, 51)), (10, 34), closeness=0.75)


def overlapping(rng: np.random.Generator, size: Size) -> list[Body]:
    """Ten to twenty large solids through each other, as bones on a film are."""
    return _scatter(rng, size, int(rng.integers(10, 21)), (30, 90), closeness=0.25)


def nested(rng: np.random.Generator, size: Size) -> list[Body]:
    """Groups of two or three solids within each other that share their centre to the pixel."""
    bodies = []
    for outer in _scatter(rng, size, int(rng.integers(3, 8)), (45, 80), closeness=0.95):
        shapes = rng.permutation(list(CATEGORIES[:4]))  # a wedge's centre of mass is elsewhere
        for depth in range(int(rng.integers(2, 4))):
            shrink = 0.55**depth
            axes = (outer.half_axes[0] * shrink, outer.half_axes[1] * shrink)
            angle, absorption = _angle(rng), _absorption(rng)
            bodies.append(Body(str(shapes[depth]), outer.center, axes, angle, absorption))
    return bodies


def tiny(rng: np.random.Generator, size: Size) -> list[Body]:
    """Twenty to sixty solids of about 5 pixels, whatever the film's size."""
    scale = _REFERENCE_SIDE / min(size)
    radii = (2.2 * scale, 3.2 * scale)
    return _scatter(rng, size, int(rng.integers(20, 61)), radii, closeness=2.0, slender=0.8)


def empty(_rng: np.random.Generator, _size: Size) -> list[Body]:
    """Nothing but what the solids of other scenes lie in."""
    return []


SCENES: dict[str, Scene] = {
    "crowded": crowded,
    "overlapping": overlapping,
    "nested": nested,
    "tiny": tiny,
    "empty": empty,
}


def render_scene(name: str, index: int, seed: int, size: Size) -> PhantomRadiograph:
    """Film `index` of a scene; `name` may be "mixed", which takes the scenes in turn.

    Args:
        name: one of `SCENES`, or "mixed".
        index: of the film; it depends on this, the seed and the size alone.
        seed: of the data set.
        size: (height, width) in pixels, 64 or more each.
    """
    if name == "mixed":
        name = tuple(SCENES)[index % len(SCENES)]
    rng = np.random.default_rng((seed, index, tuple(SCENES).index(name)))
    absorption = _surroundings(rng, size)
    objects = []
    for body in SCENES[name](rng, size):
        window = body.window(size)
        thickness = body.thickness(window)
        if not thickness.any():
            continue
        absorption[window] += np.float32(body.absorption) * thickness
        mask = np.zeros(size, np.bool_)
        mask[window] = thickness > 0
        objects.append(PhantomObject(body.shape, body.shape, mask))
    field = np.ones(size, np.bool_)
    exposure = Exposure.draw(rng)
    signal = expose(absorption, field, _PIXEL_MM, exposure, rng)
    return PhantomRadiograph(
        stored=develop(signal, field, _PIXEL_MM, exposure),
        objects=tuple(objects),
        pixel_mm=_PIXEL_MM,
        patient=f"scene {index}",
        description=f"Simple solids in the beam, scene '{name}'.",
    )


def _scatter(
    rng: np.random.Generator,
    size: Size,
    count: int,
    radii: tuple[float, float],
    closeness: float,
    slender: float = 0.45,
) -> list[Body]:
    """Up to `count` bodies, no two nearer than `closeness` times the sum of their radii."""
    scale = min(size) / _REFERENCE_SIDE
    bodies: list[Body] = []
    for _ in range(40 * count):
        if len(bodies) == count:
            break
        radius = scale * math.exp(rng.uniform(math.log(radii[0]), math.log(radii[1])))
        center = tuple(float(rng.uniform(radius, side - radius)) for side in size)
        near = any(
            math.dist(center, other.center) < closeness * (radius + other.radius)
            for other in bodies
        )
        shape, across = str(rng.choice(CATEGORIES)), radius * rng.uniform(slender, 1)
        if shape == "ring":
            across = radius * max(0.75, across / radius)
        body = Body(shape, (center[0], center[1]), (radius, across), _angle(rng), _absorption(rng))
        if not near:
            bodies.append(body)
    return bodies


def _angle(rng: np.random.Generator) -> float:
    return float(rng.uniform(0, 2 * math.pi))


def _absorption(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(0.25), np.log(1.2))))


def _surroundings(rng: np.random.Generator, size: Size) -> Image:
    """Soft tissue of slowly changing thickness, 60 to 180 mm."""
    thickness_mm = np.full(size, 120, np.float32)
    for cells, range_mm in ((3, 40.0), (7, 15.0), (15, 5.0)):
        coarse = rng.uniform(-range_mm, range_mm, (cells, cells)).astype(np.float32)
        thickness_mm += cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(thickness_mm, 60, 180) * np.float32(_WATER_PER_MM), np.float32)
