"""Cone-beam projection of a solid, slab by slab, in any pose and smoothly deformed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from datasets.phantom.radiograph import Image, Mask
from datasets.phantom.thorax import Thorax

_COARSE = 16  # pixels: the deformation is worked out on every 16th and interpolated
Sample = TypeVar("Sample", np.float32, np.uint8)
_Maps = tuple[Image, Image]


@dataclass(frozen=True)
class Pose:
    """Projection geometry: the patient between tube and detector, the beam, and the film's frame.

    Turned about its middle, the solid lies on the central ray, which meets the detector's middle at
    a right angle.

    Attributes:
        from_behind: a PA film, with the source behind the patient; else AP. Either is shown with
            the patient's right on the left.
        turn: radians about the long axis; positive brings the patient's left to the front.
        tilt: radians about the side axis; positive brings the head to the front.
        roll: radians in the film's plane.
        shift_mm: (height, side) of the central ray from the solid's middle.
        source_to_detector_mm: along the central ray.
        middle_to_detector_mm: from the solid's middle.
        bone_gain: how much more bones add than in the CT's beam: the softer, the more.
        size: (height, width) of the film in pixels.
        pixel_mm: between pixel centres, at the detector.
    """

    from_behind: bool = False
    turn: float = 0.0
    tilt: float = 0.0
    roll: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    source_to_detector_mm: float = 1500.0
    middle_to_detector_mm: float = 180.0
    bone_gain: float = 1.4
    size: tuple[int, int] = (512, 512)
    pixel_mm: float = 0.7

    def rays(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The source, and from it to the centre of every pixel, in the solid's axes.

        Returns:
            float64 [3] and [H, W, 3], (depth, height, side) in mm from the solid's middle.
        """
        sign = -1.0 if self.from_behind else 1.0
        rows, columns = ((np.arange(side) - (side - 1) / 2) * self.pixel_mm for side in self.size)
        down, across = np.meshgrid(rows, columns, indexing="ij")
        cosine, sine = math.cos(self.roll), math.sin(self.roll)
        height = -(down * cosine + across * sine) + self.shift_mm[0]
        side = across * cosine - down * sine + self.shift_mm[1]
        depth = np.full_like(side, -sign * self.middle_to_detector_mm)
        source_depth = sign * (self.source_to_detector_mm - self.middle_to_detector_mm)
        source = np.array([source_depth, *self.shift_mm])
        rotation = self._rotation()
        rays = np.stack([depth, height, side], -1) - source
        # Turning the patient one way is turning tube and detector the other way.
        return source @ rotation, rays @ rotation

    def _rotation(self) -> npt.NDArray[np.float64]:
        """From the solid's axes to the room's, for column vectors."""
        turn = _rotation(self.turn, 2, 0)
        return turn @ _rotation(self.tilt, 1, 0)


@dataclass(frozen=True, eq=False)
class Deformation:
    """A smooth displacement of the solid within its coronal planes, and its size in depth.

    Attributes:
        knots_mm: float32 [depth, height, side, 2], how much farther to the (height, side) the solid
            is sampled; evenly spread over it, linear in depth and cubic within a plane.
        scale: (depth, height, side), how much larger the patient is than the CT's.
    """

    knots_mm: Image
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @classmethod
    def none(cls) -> Deformation:
        """The patient as scanned."""
        return cls(np.zeros((2, 4, 4, 2), np.float32))

    @classmethod
    def draw(cls, rng: np.random.Generator, strength_mm: float) -> Deformation:
        """Random knots of this standard deviation, and sizes up to a tenth larger or smaller."""
        knots = rng.normal(0, strength_mm, (4, 5, 5, 2)).astype(np.float32)
        depth, height, side = (float(value) for value in rng.uniform(0.9, 1.1, 3))
        return cls(knots, (depth, height, side))

    def plane(self, place: float) -> Image:
        """The knots at a depth, 0 for the rearmost to 1 for the foremost plane."""
        position = min(max(place, 0.0), 1.0) * (len(self.knots_mm) - 1)
        first = min(int(position), len(self.knots_mm) - 2)
        share = np.float32(position - first)
        blended = (1 - share) * self.knots_mm[first] + share * self.knots_mm[first + 1]
        return np.asarray(blended, np.float32)


@dataclass(frozen=True, eq=False)
class Projection:
    """Primary projection: the detector's image without scatter, noise and blur.

    Attributes:
        absorption: float32 [H, W], the exponent of Beer and Lambert.
        silhouettes: of each structure that a ray meets, bool [H, W].
        inside: bool [H, W], rays that pass the solid from back to front without leaving it through
            its top or bottom, where the CT ends and the patient does not.
    """

    absorption: Image
    silhouettes: dict[int, Mask]
    inside: Mask


def project(thorax: Thorax, pose: Pose, deformation: Deformation | None = None) -> Projection:
    """Sums the attenuation along the ray to each pixel's centre, and notes what it meets.

    A coronal slab is a plane that every ray meets once, so each is sampled where the rays meet it
    and weighted with the rays' way through it. That is exact up to the voxels' size as long as the
    rays are far from parallel to the slabs.
    """
    deformation = deformation or Deformation.none()
    absorption = np.zeros(pose.size, np.float32)
    met = np.zeros((256, absorption.size), np.bool_)
    pixels = np.arange(absorption.size)
    inside = np.ones(pose.size, np.bool_)
    count, finer = len(thorax.attenuation), thorax.labels.shape[1] // thorax.attenuation.shape[1]
    for depth, (rows, columns) in enumerate(_slabs(thorax, pose, deformation)):
        slab = thorax.attenuation[depth] + np.float32(pose.bone_gain) * thorax.bone[depth]
        absorption += _sample(slab, rows, columns, cv2.INTER_LINEAR)
        labels = thorax.labels[depth]
        if labels.any():
            fine_rows = rows * np.float32(finer) + np.float32((finer - 1) / 2)
            seen = _sample(labels, fine_rows, columns, cv2.INTER_NEAREST).ravel()
            held = np.flatnonzero(seen)
            met[seen[held], pixels[held]] = True
        if depth in (0, count - 1):
            inside &= (rows > 0) & (rows < thorax.attenuation.shape[1] - 1)
    _, rays = pose.rays()
    way = np.linalg.norm(rays, axis=-1) / np.abs(rays[..., 0])
    slab_mm = thorax.spacing_mm[0] * deformation.scale[0]
    silhouettes = {
        int(structure): met[structure].reshape(pose.size)
        for structure in np.flatnonzero(met.any(1))
    }
    return Projection((absorption * way * slab_mm).astype(np.float32), silhouettes, inside)


def _slabs(thorax: Thorax, pose: Pose, deformation: Deformation) -> Iterator[_Maps]:
    """Where the rays meet each slab: rows and columns of the slab's voxels, float32 [H, W]."""
    source, rays = pose.rays()
    start = source.astype(np.float32)
    # Across the rays' ratios a plane at another depth is a shift and a scaling.
    climb = (rays[..., 1] / rays[..., 0]).astype(np.float32)
    drift = (rays[..., 2] / rays[..., 0]).astype(np.float32)
    count, height, side = thorax.attenuation.shape
    coarse = (-(-pose.size[0] // _COARSE) + 1, -(-pose.size[1] // _COARSE) + 1)
    for depth in range(count):
        place_mm = (depth - (count - 1) / 2) * thorax.spacing_mm[0] * deformation.scale[0]
        way = np.float32(place_mm) - start[0]
        rows = _voxels(start[1] + way * climb, height, thorax.spacing_mm[1] * deformation.scale[1])
        columns = _voxels(start[2] + way * drift, side, thorax.spacing_mm[2] * deformation.scale[2])
        knots = deformation.plane(depth / max(count - 1, 1))
        if knots.any():
            shift = _displacement(knots, rows, columns, (height, side), coarse)
            rows = rows + shift[..., 0] / np.float32(thorax.spacing_mm[1])
            columns = columns + shift[..., 1] / np.float32(thorax.spacing_mm[2])
        yield rows, columns


def _voxels(place_mm: Image, count: int, spacing_mm: float) -> Image:
    """Millimetres from the middle to an index."""
    return np.asarray(place_mm * np.float32(1 / spacing_mm) + np.float32((count - 1) / 2))


def _displacement(
    knots: Image, rows: Image, columns: Image, shape: tuple[int, int], coarse: tuple[int, int]
) -> Image:
    """The displacement in mm at each pixel, float32 [H, W, 2], interpolated from a coarse grid."""
    few = [
        cv2.resize(place, coarse[::-1], interpolation=cv2.INTER_AREA)
        * np.float32((count - 1) / (extent - 1))
        for place, count, extent in zip((rows, columns), knots.shape[:2], shape, strict=True)
    ]
    shift = cv2.remap(knots, few[1], few[0], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(
        cv2.resize(shift, rows.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32
    )


def _sample(
    slab: npt.NDArray[Sample], rows: Image, columns: Image, method: int
) -> npt.NDArray[Sample]:
    sampled = cv2.remap(slab, columns, rows, method, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(sampled, slab.dtype)


def _rotation(angle: float, first: int, second: int) -> npt.NDArray[np.float64]:
    """Turns axis `first` towards axis `second`."""
    rotation = np.eye(3)
    rotation[first, first] = rotation[second, second] = math.cos(angle)
    rotation[second, first], rotation[first, second] = math.sin(angle), -math.sin(angle)
    return rotation
