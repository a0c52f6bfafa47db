"""Films of real machines, where they are at hand: `shared/dicom` beside the repository."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from solo.decoding.decode import decode
from solo.decoding.radiograph import GreyRecipe, Limits, Radiograph

FOLDER = Path(__file__).resolve().parents[5] / "shared/dicom"
LIMITS = Limits(50_000_000)


@pytest.fixture(scope="module", autouse=True)
def _forget() -> Iterator[None]:
    """The films take a few hundred megabytes."""
    yield
    film.cache_clear()


pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the real films are not beside the repository"
)

FILMS: list[tuple[str, tuple[int, int], GreyRecipe]] = [
    ("CR_fo-dicom_CR-ModalitySequenceLUT", (1576, 1976), "percentiles"),
    ("CR_pydicom-data_RG1_J2KI", (1955, 1841), "window"),
    ("CR_pydicom-data_RG3_J2KI", (1760, 1760), "window"),
    ("CR_pydicom-data_RG3_J2KR", (1760, 1760), "window"),
    ("CR_pylibjpeg-data_NM_Kakadu44_SOTmarkerincons", (2500, 2048), "window"),
    ("CR_pylibjpeg-data_RG1_JLSN", (1955, 1841), "window"),
    ("CR_pylibjpeg-data_RG2_JLSL", (2140, 1760), "window"),
    ("CR_pylibjpeg-data_RG2_JLSN", (2140, 1760), "window"),
    ("CR_pylibjpeg-data_RG2_JPLL", (2140, 1760), "window"),
    ("CR_pylibjpeg-data_RG2_JPLY", (2140, 1760), "window"),
    ("CR_pylibjpeg-data_RG2_JPLY_fixed", (2140, 1760), "window"),
    ("CR_txv_1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819", (1024, 1024), "as_stored"),
    ("CR_txv_Fake_MONOHR1", (1024, 1024), "as_stored"),
    ("DX_highdicom_dx_image", (169, 211), "window"),
    ("DX_pylibjpeg-data_966", (2128, 2000), "window"),
    ("DX_pylibjpeg-data_966_fixed", (2128, 2000), "window"),
    ("DX_pylibjpeg-data_JPEG2KLossless_1s_1f_u_16_16", (1416, 1420), "percentiles"),
    ("MG_fo-dicom_GH133", (3062, 2394), "voi_lut"),
    ("MG_fo-dicom_OutOfBoundsOverlay", (788, 1318), "window"),
    ("XA_fo-dicom_HasFragmentSequence", (512, 512), "as_stored"),
]


@cache
def film(name: str, frame: int = 0) -> Radiograph:
    return decode((FOLDER / f"{name}.dcm").read_bytes(), LIMITS, frame)


@pytest.mark.parametrize(("name", "shape", "grey"), FILMS)
def test_every_film_decodes(name: str, shape: tuple[int, int], grey: GreyRecipe) -> None:
    found = film(name)
    assert (found.pixels.shape, found.info.grey) == (shape, grey)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CR_pylibjpeg-data_RG2_JLSL", "CR_pylibjpeg-data_RG2_JPLL"),
        ("CR_pylibjpeg-data_RG2_JPLY", "CR_pylibjpeg-data_RG2_JPLY_fixed"),
        ("DX_pylibjpeg-data_966", "DX_pylibjpeg-data_966_fixed"),
    ],
)
def test_twins_have_the_same_pixels(one: str, other: str) -> None:
    assert np.array_equal(film(one).pixels, film(other).pixels)


def test_loss_is_small() -> None:
    exact = film("CR_pylibjpeg-data_RG2_JLSL").pixels.astype(int)
    for name in ("CR_pylibjpeg-data_RG2_JLSN", "CR_pylibjpeg-data_RG2_JPLY"):
        assert np.abs(film(name).pixels - exact).mean() < 0.005 * 65535


def test_a_twin_of_the_other_polarity_is_its_negative() -> None:
    # The same stored values under both photometric interpretations
    plain = film("CR_txv_1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819").pixels
    assert np.array_equal(film("CR_txv_Fake_MONOHR1").pixels, 255 - plain)


def test_all_frames_of_a_run_differ() -> None:
    name = "XA_fo-dicom_HasFragmentSequence"
    data = (FOLDER / f"{name}.dcm").read_bytes()
    frames = [decode(data, LIMITS, frame) for frame in range(96)]
    assert {frame.info.frames for frame in frames} == {96}
    assert len({hashlib.sha256(frame.pixels.tobytes()).hexdigest() for frame in frames}) == 96
