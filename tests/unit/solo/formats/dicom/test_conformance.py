"""Objects by the judgement of dciodvfy and dcmtk, of made and real films, where they are there."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pydicom
import pytest
from pydicom.uid import ComputedRadiographyImageStorage, XRayAngiographicImageStorage

from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.formats.dicom.objects import DicomKind, DicomOptions, encode_dicom
from solo.result import AlgorithmType
from tests.support.dicom_results import coded_manifest, half, hospital_film, result_of

REAL = Path(__file__).resolve().parents[6] / "shared/dicom"
FILMS = sorted(REAL.glob("*.dcm"))
KINDS = get_args(DicomKind)
# What is wrong with values that are the film's own, and with the depth of its Modality LUT.
FILMS_OWN = re.compile(
    r"Value invalid for this VR|Illegal root for UID|contains invalid data values|"
    r"Modality LUT - LUT Descriptor number of bits"
)


def errors(path: Path) -> list[str]:
    """The error lines of dciodvfy."""
    told = subprocess.run(["dciodvfy", path], capture_output=True, check=False).stderr  # noqa: S607
    lines = told.decode("latin-1").splitlines()
    return [line for line in lines if line.startswith("Error") and not FILMS_OWN.search(line)]


def state_errors(path: Path) -> list[str]:
    """The error lines of dcmpschk for a presentation state, but for values of the film's own."""
    told = subprocess.run(["dcmpschk", path], capture_output=True, check=False)  # noqa: S607
    lines = (told.stdout + told.stderr).decode("latin-1").splitlines()
    assert any("Test passed" in line or "Test failed" in line for line in lines)
    own = "Attribute value does not conform to data type definition"
    return [line for line in lines if line.startswith("E: Error") and own not in line]


@pytest.fixture(autouse=True)
def _tools() -> None:
    for tool in ("dciodvfy", "dcmconv", "dcmpschk"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool}: apt-get install dcmtk dicom3tools")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
def test_a_made_film_gives_objects_without_an_error(
    kind: DicomKind, orientation: bool, frames: int, tmp_path: Path
) -> None:
    pixels = np.zeros((frames, 16, 24) if frames > 1 else (16, 24), np.uint16)
    sop_class = XRayAngiographicImageStorage if frames > 1 else ComputedRadiographyImageStorage
    film = hospital_film(pixels, SOPClassUID=sop_class)
    result = result_of(film, [half(16, 24), half(16, 24)], frame=frames - 1)
    options = DicomOptions(explicit=True, assumed_orientation=orientation)
    path = tmp_path / "object.dcm"
    path.write_bytes(encode_dicom(result, kind, coded_manifest(), options))
    assert errors(path) == []
    assert kind != "gsps" or state_errors(path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_annotations_give_objects_without_an_error(kind: DicomKind, tmp_path: Path) -> None:
    result = result_of(hospital_film(np.zeros((16, 24), np.uint16)), [half(16, 24)] * 3)
    types: tuple[AlgorithmType, ...] = get_args(AlgorithmType)
    instances = tuple(
        replace(one, algorithm_type=made) for one, made in zip(result.instances, types, strict=True)
    )
    corrected = replace(result, instances=instances, is_annotated=True)
    path = tmp_path / "object.dcm"
    options = DicomOptions(explicit=True)
    path.write_bytes(encode_dicom(corrected, kind, coded_manifest(), options))
    assert errors(path) == []


@pytest.mark.skipif(not FILMS, reason="there are no films in ../shared/dicom")
@pytest.mark.parametrize("path", FILMS, ids=lambda path: path.stem)
def test_a_real_film_gives_objects_without_an_error_of_ours(path: Path, tmp_path: Path) -> None:
    film = path.read_bytes()
    info = decode(film, Limits(10**8)).info
    mask = half(info.height, info.width)
    result = result_of(film, [mask, ~mask])
    for kind in KINDS:
        written = tmp_path / f"{kind}.dcm"
        written.write_bytes(encode_dicom(result, kind, coded_manifest()))
        if kind == "seg":
            found = pydicom.dcmread(written).pixel_array
            np.testing.assert_array_equal(found, [mask, ~mask])
            inflated = tmp_path / "inflated.dcm"
            subprocess.run(["dcmconv", "+te", written, inflated], check=True)  # noqa: S607
            written = inflated
        assert errors(written) == []
        assert kind != "gsps" or state_errors(written) == []
