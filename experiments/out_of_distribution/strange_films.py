"""Films that a chest model was not made for: computed side views, slices of CTs, noise, no film."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from datasets.phantom.anatomy import render_thorax
from datasets.phantom.thorax import Thorax, read_thorax
from solo.contract.greyscale import Grey
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.errors import SoloError

Kinds = Iterator[tuple[str, list[Grey]]]

_LIMITS = Limits(50_000_000)
_SIZE = (384, 384)
_WINDOWS = {"lung window": (-600, 1500), "soft tissue window": (40, 400)}  # centre and width in HU
_PLANES = ("sagittal", "coronal", "axial")


def of_dicom_files(folder: Path) -> Kinds:
    """DICOM films by modality and body part; what cannot be read is passed over."""
    found: dict[str, list[Grey]] = {}
    for path in sorted(folder.glob("*.dcm")):
        try:
            film = decode(path.read_bytes(), _LIMITS).pixels
            data = pydicom.dcmread(path, stop_before_pixels=True)
        except (SoloError, InvalidDicomError):
            continue
        modality, part = data.get("Modality"), data.get("BodyPartExamined")
        kind = f"{modality or 'DICOM'} {part or 'of a part not told'}"
        found.setdefault(kind, []).append(film)
    yield from sorted(found.items())


def of_volume(folder: Path, name: str, count: int) -> Kinds:
    """A CT projected from the front and from the side, and its slices, evenly chosen."""
    thorax = read_thorax(folder)
    yield f"{name}, computed from the front", _rendered(thorax, count)
    yield f"{name}, computed from the side", _rendered(_from_the_side(thorax), count)
    volume = nibabel.as_closest_canonical(nibabel.Nifti1Image.from_filename(folder / "cxr.nii.gz"))
    hounsfield = volume.get_fdata(dtype=np.float32)
    for axis, plane in enumerate(_PLANES):
        middle = np.moveaxis(hounsfield, axis, 0)
        tenth = len(middle) // 10  # the outermost slices show next to nothing
        places = np.linspace(tenth, len(middle) - 1 - tenth, count).round().astype(int)
        for window, (centre, width) in _WINDOWS.items():
            grey = np.clip((middle[places] - centre) / width + 0.5, 0, 1) * 255
            films: list[Grey] = [np.rot90(each).astype(np.uint8) for each in grey]
            yield f"{name}, {plane} slices, {window}", films


def made(count: int) -> Kinds:
    """Noise, and films of one grey."""
    rng = np.random.default_rng(0)
    yield "noise", [rng.integers(0, 256, _SIZE).astype(np.uint8) for _ in range(count)]
    yield "white", [np.full(_SIZE, 255, np.uint8)]
    yield "grey", [np.full(_SIZE, 128, np.uint8)]
    yield "black", [np.zeros(_SIZE, np.uint8)]


def _rendered(thorax: Thorax, count: int) -> list[Grey]:
    films = (render_thorax(thorax, index, 0, _SIZE).stored for index in range(count))
    return [(film << 4).astype(np.uint16) for film in films]  # 12 bits to 16


def _from_the_side(thorax: Thorax) -> Thorax:
    """The same patient, turned by a quarter: every second slab along the new depth."""
    depth_mm, height_mm, side_mm = thorax.spacing_mm
    return replace(
        thorax,
        attenuation=np.ascontiguousarray(thorax.attenuation.swapaxes(0, 2)[::2]),
        bone=np.ascontiguousarray(thorax.bone.swapaxes(0, 2)[::2]),
        labels=np.ascontiguousarray(thorax.labels.swapaxes(0, 2)[::2]),
        spacing_mm=(2 * side_mm, height_mm, depth_mm),
    )
