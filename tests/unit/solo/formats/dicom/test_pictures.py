"""Presentation states and secondary captures: outlines over the film as it was shown."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, get_args

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import pydicom.encaps
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit

from solo.errors import NoDicomResultError
from solo.formats.dicom.objects import DicomKind, encode_dicom
from solo.formats.dicom.presentation_state import MOST_POINTS, closed_polyline
from solo.result import OutOfDistribution, Result
from tests.support.dicom import INSTANCE_UID
from tests.support.dicom_results import coded_manifest, half, hospital_film, result_of, written

Levels = npt.NDArray[np.float64]
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def lut(first: int, values: list[int], bits: int, **more: object) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(values), first, bits])
    item.add_new("LUTData", "US", values)
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


CURVE = [round(65535 * (n / 4095) ** 2) for n in range(4096)]
FILMS: dict[str, dict[str, Any]] = {
    "window": {"WindowCenter": 1500, "WindowWidth": 900},
    "exact window": {"WindowCenter": 99.5, "WindowWidth": 3, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": 2000, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
    "rescale": {
        **{"RescaleSlope": "-0.5", "RescaleIntercept": "1000.25", "RescaleType": "US"},
        **{"WindowCenter": 100, "WindowWidth": 900},
    },
    "voi lut": {"VOILUTSequence": [lut(0, CURVE, 16)]},
    "voi lut of 10 bits": {"VOILUTSequence": [lut(500, [n // 2 for n in range(2048)], 10)]},
    "modality lut": {
        "ModalityLUTSequence": [lut(0, [n // 4 for n in range(4096)], 16, ModalityLUTType="US")],
        **{"WindowCenter": 500, "WindowWidth": 500},
    },
    "voi lut without its sign": {
        **{"RescaleSlope": 1, "RescaleIntercept": -2048, "RescaleType": "US"},
        "VOILUTSequence": [lut(0x10000 - 2048, CURVE, 16)],
    },
    "percentiles": {},
    "inverted": {
        "PhotometricInterpretation": "MONOCHROME1",
        **{"WindowCenter": 1500, "WindowWidth": 900},
    },
}


def entries(item: Dataset, levels: Levels) -> Levels:
    """A LUT as PS3.3 C.11.1.1 and C.11.2.1.1 have it."""
    values = np.frombuffer(item.LUTData, "<u2")
    assert item.LUTDescriptor[0] == len(values)
    found: Levels = values[np.clip(levels - item.LUTDescriptor[1], 0, len(values) - 1).astype(int)]
    return found.astype(float)


def shown(state: Dataset, cells: npt.NDArray[np.uint16] | npt.NDArray[np.int16]) -> Levels:
    """Grey in [0, 1] by what the state says of the display alone."""
    levels: Levels = cells.astype(float)
    if "ModalityLUTSequence" in state:
        levels = entries(state.ModalityLUTSequence[0], levels)
    elif "RescaleSlope" in state:
        levels = levels * float(state.RescaleSlope) + float(state.RescaleIntercept)
    voi = state.SoftcopyVOILUTSequence[0]
    if "VOILUTSequence" in voi:
        grey = entries(voi.VOILUTSequence[0], levels) / 65535
    else:
        center, width = float(voi.WindowCenter), float(voi.WindowWidth)
        match voi.VOILUTFunction:  # PS3.3 C.11.2.1.2 and C.11.2.1.3
            case "LINEAR":
                grey = (levels - (center - 0.5)) / (width - 1) + 0.5
            case "LINEAR_EXACT":
                grey = (levels - center) / width + 0.5
            case _:
                grey = 1 / (1 + np.exp(-4 * (levels - center) / width))
        grey = np.clip(grey, 0, 1)
    return 1 - grey if state.PresentationLUTShape == "INVERSE" else grey


@pytest.mark.parametrize("name", FILMS)
def test_a_state_shows_the_film_as_the_model_saw_it(name: str) -> None:
    result = result_of(
        hospital_film(RAMP, BitsStored=12, HighBit=11, **FILMS[name]), [half(64, 64)]
    )
    assert result.pixels is not None
    found = shown(written(result, "gsps"), RAMP)
    assert abs(found * 255 - result.pixels).max() < 1.5


def test_a_modality_lut_without_its_sign_has_it_in_the_state() -> None:
    table = lut(0x10000 - 2048, [4 * n for n in range(4096)], 16, ModalityLUTType="US")
    window = {"WindowCenter": 8000, "WindowWidth": 8000}
    film = hospital_film(
        RAMP - np.uint16(2048), PixelRepresentation=1, ModalityLUTSequence=[table], **window
    )
    result = result_of(film, [half(64, 64)])
    assert result.pixels is not None
    found = shown(written(result, "gsps"), RAMP.astype(np.int16) - 2048)
    assert abs(found * 255 - result.pixels).max() < 1.5


def state_of(result: Result) -> pydicom.FileDataset:
    return written(result, "gsps")


def test_outlines_are_closed_polylines_in_pixels() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[5:15, 10:25] = True
    state = state_of(result_of(hospital_film(np.zeros((20, 30), np.uint16)), [mask]))
    (annotation,) = state.GraphicAnnotationSequence
    (graphic,) = annotation.GraphicObjectSequence
    assert (graphic.GraphicType, graphic.GraphicFilled) == ("POLYLINE", "N")
    assert graphic.GraphicAnnotationUnits == "PIXEL"
    points = np.reshape(graphic.GraphicData, (-1, 2))
    assert graphic.NumberOfGraphicPoints == len(points)
    assert (points[0] == points[-1]).all()
    # PS3.3 C.10.5.1.2: the corner of the first pixel is 0\0, that of the last Columns\Rows.
    corners = np.array([[10, 5], [25, 15]])
    assert abs(points.min(axis=0) - corners[0]).max() <= 0.5
    assert abs(points.max(axis=0) - corners[1]).max() <= 0.5
    area = state.DisplayedAreaSelectionSequence[0]
    assert area.DisplayedAreaTopLeftHandCorner == [1, 1]
    assert area.DisplayedAreaBottomRightHandCorner == [30, 20]
    texts = [one.UnformattedTextValue for one in annotation.TextObjectSequence]
    assert texts[0] == "bright 0.90"
    assert "Not a medical device" in texts[1]
    reference = state.ReferencedSeriesSequence[0].ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == INSTANCE_UID


def test_an_outline_of_many_points_stays_a_value_that_viewers_read() -> None:
    comb = np.zeros((300, 3000), np.bool_)
    comb[20:] = True
    rng = np.random.default_rng(1)
    for column, top in enumerate(rng.integers(20, 290, 3000)):
        comb[20:top, column] = False
    comb[-1] = True
    state = state_of(result_of(hospital_film(np.zeros(comb.shape, np.uint8)), [comb]))
    for graphic in state.GraphicAnnotationSequence[0].GraphicObjectSequence:
        assert graphic["GraphicData"].VR == "FL"
        assert graphic.NumberOfGraphicPoints <= MOST_POINTS
    angle = np.linspace(0, 2 * np.pi, 50_000, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 1e4
    simple = closed_polyline(circle.astype(np.float32))
    assert 100 < len(simple) <= MOST_POINTS
    assert (simple[0] == simple[-1]).all()


def test_pixels_that_are_not_square_are_told() -> None:
    film = hospital_film(ImagerPixelSpacing=[0.2, 0.1])
    area = state_of(result_of(film, [half()])).DisplayedAreaSelectionSequence[0]
    assert list(area.PresentationPixelSpacing) == [0.2, 0.1]
    plain = state_of(result_of(hospital_film(), [half()])).DisplayedAreaSelectionSequence[0]
    assert list(plain.PresentationPixelAspectRatio) == [1, 1]


@pytest.mark.parametrize(
    ("told", "expected"), [("2\\1", [2, 1]), (" 10\\7 ", [10, 7]), ("0\\1", [1, 1]), ("2", [1, 1])]
)
def test_a_ratio_of_pixels_without_a_spacing_is_told(told: str, expected: list[int]) -> None:
    film = hospital_film(PixelAspectRatio="2\\1").replace(b"IS\4\x002\\1 ", _short_text(told))
    area = state_of(result_of(film, [half()])).DisplayedAreaSelectionSequence[0]
    assert list(area.PresentationPixelAspectRatio) == expected


def _short_text(text: str) -> bytes:
    value = text.encode() + b" " * (len(text) % 2)
    return b"IS" + len(value).to_bytes(2, "little") + value


COLOUR: dict[str, Any] = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}


def test_a_film_in_colour_has_no_grayscale_state() -> None:
    result = result_of(hospital_film(np.zeros((6, 8, 3), np.uint8), **COLOUR), [half()])
    with pytest.raises(NoDicomResultError, match="in colour"):
        state_of(result)
    assert written(result).pixel_array.sum() == half().sum()
    assert written(result, "sc").Rows == 6


def test_a_secondary_capture_is_the_overlay_as_jpeg() -> None:
    mask = np.zeros((400, 300), np.bool_)
    mask[100:300, 100:200] = True
    film = hospital_film(np.full((400, 300), 2000, np.uint16), WindowCenter=2000, WindowWidth=4000)
    result = result_of(film, [mask])
    data = encode_dicom(result, "sc", coded_manifest())
    assert len(data) % 2 == 0
    found = pydicom.dcmread(io.BytesIO(data))
    assert found.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert found.SOPClassUID.keyword == "SecondaryCaptureImageStorage"
    assert (found.SamplesPerPixel, found.PhotometricInterpretation) == (3, "YBR_FULL_422")
    (jpeg,) = pydicom.encaps.generate_frames(found.PixelData, number_of_frames=1)
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (found.Rows, found.Columns, 3) == (400, 300, 3)
    assert np.ptp(picture[200, 100].astype(int)) > 60  # the outline, in colour
    assert np.ptp(picture[200, 150].astype(int)) < 20  # the film within, in grey
    assert picture[380:, :150].max() > 220  # the notice
    source = found.SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID == INSTANCE_UID
    assert found.LossyImageCompression == "01"


def test_a_secondary_capture_needs_the_pixels() -> None:
    result = replace(result_of(hospital_film(), [half()]), pixels=None)
    with pytest.raises(ValueError, match="wants_pixels"):
        encode_dicom(result, "sc", coded_manifest())


@pytest.mark.parametrize("is_flagged", [True, False])
@pytest.mark.parametrize("kind", get_args(DicomKind))
def test_a_film_that_the_model_does_not_know_is_called_so(
    kind: DicomKind, is_flagged: bool
) -> None:
    strange = OutOfDistribution(score=1.5 if is_flagged else 0.5, flagged=is_flagged)
    dataset = written(
        replace(result_of(hospital_film(), [half()]), out_of_distribution=strange), kind
    )
    keyword = "DerivationDescription" if kind == "sc" else "ContentDescription"
    assert ("Out of distribution" in dataset[keyword].value) == is_flagged
    if kind == "seg":
        assert len(dataset.ContentDescription) <= 64  # an LO
