"""SEG objects: masks come back, and every module has what its readers look for."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from solo.errors import ImageTooLargeError, NoCodesError
from solo.formats.dicom.bit_planes import packed_frames
from solo.formats.dicom.objects import DicomOptions, encode_dicom
from solo.formats.dicom.segmentation import overlap
from tests.support.dicom import INSTANCE_UID
from tests.support.dicom_results import (
    MODEL,
    SERIES,
    Mask,
    coded_manifest,
    half,
    hospital_film,
    result_of,
    runs_of,
    written,
)
from tests.support.engines import manifest

SIZES = st.tuples(st.integers(1, 19), st.integers(1, 19))
STACKS = st.tuples(st.integers(1, 4), SIZES).flatmap(
    lambda sizes: arrays.arrays(np.bool_, (sizes[0], *sizes[1]), elements=st.booleans())
)


@given(STACKS, st.booleans())
def test_masks_come_back_as_they_were(stack: Mask, explicit: bool) -> None:
    stack[:, 0, 0] = True  # an instance has pixels
    film = hospital_film(np.zeros(stack.shape[1:], np.uint16))
    data = encode_dicom(
        result_of(film, list(stack)), "seg", coded_manifest(), DicomOptions(explicit=explicit)
    )
    assert len(data) % 2 == 0
    found = pydicom.dcmread(io.BytesIO(data)).pixel_array
    np.testing.assert_array_equal(found.reshape(stack.shape), stack)


def test_bits_are_packed_without_gaps() -> None:
    # Rows 101, 010, 110 and 111, 000, 001: the first pixel is the lowest bit.
    one = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0]], np.bool_)
    two = np.array([[1, 1, 1], [0, 0, 0], [0, 0, 1]], np.bool_)
    pieces = list(packed_frames([runs_of(one), runs_of(two)]))
    assert b"".join(pieces) == bytes([0b11010101, 0b00001110, 0b10])


def test_a_large_mask_takes_little() -> None:
    mask = np.zeros((3000, 2500), np.bool_)
    mask[500:2500, 300:1100] = True
    result = result_of(hospital_film(np.zeros(mask.shape, np.uint8)), [mask, mask])
    data = encode_dicom(result, "seg", coded_manifest())
    assert len(data) < 20_000
    assert written(result).pixel_array.sum() == 2 * mask.sum()


def test_a_segment_says_what_it_is() -> None:
    found = written(result_of(hospital_film(), [half(), ~half()], ["bright", "dark"]))
    bright, dark = found.SegmentSequence
    assert [bright.SegmentNumber, dark.SegmentNumber] == [1, 2]
    assert [bright.SegmentLabel, dark.SegmentLabel] == ["bright", "dark"]
    kind = dark.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("39607008", "SCT")
    side = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    assert (side.CodeValue, side.CodeMeaning) == ("24028007", "Right")
    plain = bright.SegmentedPropertyTypeCodeSequence[0]
    assert "SegmentedPropertyTypeModifierCodeSequence" not in plain
    assert bright.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
    algorithm = bright.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("lungs", "3")
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    assert bright.SegmentAlgorithmType == "AUTOMATIC"
    assert bright.TrackingID
    assert len({bright.TrackingUID, dark.TrackingUID}) == 2
    assert found.DeviceSerialNumber == MODEL.sha256
    assert "Not a medical device" in found.ContentDescription


def test_segments_of_one_class_are_numbered() -> None:
    found = written(
        result_of(hospital_film(), [half(), ~half(), half()], ["bright"] * 2 + ["dark"])
    )
    assert [one.SegmentLabel for one in found.SegmentSequence] == ["bright 1", "bright 2", "dark"]


@pytest.mark.parametrize("explicit", [False, True])
def test_it_refers_to_its_film_where_readers_look(explicit: bool) -> None:
    found = written(result_of(hospital_film(), [half(), ~half()]), explicit=explicit)
    syntax = ExplicitVRLittleEndian if explicit else DeflatedExplicitVRLittleEndian
    assert found.file_meta.TransferSyntaxUID == syntax
    for number, frame in enumerate(found.PerFrameFunctionalGroupsSequence, 1):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == INSTANCE_UID
        assert "ReferencedFrameNumber" not in source
        assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
        assert frame.FrameContentSequence[0].DimensionIndexValues == number
    series = found.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == SERIES
    assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == INSTANCE_UID
    assert "DerivationImageSequence" not in found.SharedFunctionalGroupsSequence[0]
    assert "FrameOfReferenceUID" not in found
    assert "Laterality" not in found
    assert (found.Rows, found.Columns) == (6, 8)


def test_a_frame_of_many_is_named_in_each_reference() -> None:
    film = hospital_film(np.zeros((4, 6, 8), np.uint16))
    found = written(result_of(film, [half()], frame=2))
    frame = found.PerFrameFunctionalGroupsSequence[0]
    source = frame.DerivationImageSequence[0].SourceImageSequence[0]
    assert source.ReferencedFrameNumber == 3
    first = written(result_of(film, [half()]))
    assert first.SOPInstanceUID != found.SOPInstanceUID


def test_an_orientation_is_there_only_if_it_is_asked_for() -> None:
    result = result_of(hospital_film(), [half()])
    assert not written(result).SharedFunctionalGroupsSequence[0]
    plane = written(result, assumed_orientation=True).SharedFunctionalGroupsSequence[0]
    orientation = plane.PlaneOrientationSequence[0].ImageOrientationPatient
    assert list(orientation) == [1, 0, 0, 0, 1, 0]


@given(STACKS)
def test_with_an_orientation_a_viewer_cannot_take_the_frames_apart_wrongly(
    masks: npt.NDArray[np.bool_],
) -> None:
    """It takes whole bytes a frame where their length is the data's, and bits if theirs is."""
    height, width = masks.shape[1:]
    film = hospital_film(np.zeros((height, width), np.uint8))
    seg = written(result_of(film, list(masks)), assumed_orientation=True)
    frames = seg.pixel_array.reshape(seg.NumberOfFrames, height, width)
    np.testing.assert_array_equal(frames[: len(masks)], masks)
    assert not frames[len(masks) :].any()
    bits = seg.NumberOfFrames * height * width
    assert len(seg.PixelData) == -(-bits // 8)
    if height * width % 8:
        assert len(seg.PixelData) != seg.NumberOfFrames * -(-height * width // 8)


def test_uids_are_the_same_for_the_same_film_model_and_kind() -> None:
    result = result_of(hospital_film(), [half()])
    other_masks = result_of(hospital_film(), [~half()])
    found = {str(written(one).SOPInstanceUID) for one in (result, result, other_masks)}
    assert len(found) == 1
    others = [
        written(replace(result, model=replace(MODEL, sha256="cd" * 32))),
        written(result_of(hospital_film(SOPInstanceUID="1.2.3.4"), [half()])),
        written(result, "gsps"),
        written(result, "sc"),
        written(result, variant="score_threshold=0.7"),
    ]
    found |= {str(one.SOPInstanceUID) for one in others}
    assert len(found) == 6
    assert all(re.fullmatch(r"2\.25\.[1-9][0-9]{1,38}", uid) for uid in found)
    series = {str(one.SeriesInstanceUID) for one in [written(result), *others]}
    assert len(series) == 6


@given(STACKS)
def test_overlap_is_that_of_the_pixels(stack: Mask) -> None:
    stack[:, 0, 0] = False
    stack = stack[stack.any(axis=(1, 2))]
    if len(stack):
        assert overlap([runs_of(mask) for mask in stack]) == bool((stack.sum(axis=0) > 1).any())


def test_labels_are_legible_in_any_character_set() -> None:
    names = ("Lungenflügel \\ 肺", "x" * 80)
    model = coded_manifest(class_names=names)
    found = written(result_of(hospital_film(), [half(), half()], list(names)), model=model)
    labels = [one.SegmentLabel for one in found.SegmentSequence]
    assert labels == ["Lungenflugel / ?", "x" * 56]


def test_a_class_without_codes_is_named() -> None:
    result = result_of(hospital_film(), [half()], ["dark"])
    for model in (manifest(), manifest(class_codes=(coded_manifest().class_codes[0], None))):
        with pytest.raises(NoCodesError, match="no codes for its class 'dark'"):
            encode_dicom(result, "seg", model)
    encode_dicom(result, "gsps", manifest())


def test_masks_of_many_megabytes_are_only_deflated() -> None:
    mask = np.zeros((3000, 2500), np.bool_)
    mask[0, 0] = True
    one = result_of(hospital_film(np.zeros(mask.shape, np.uint8)), [mask])
    result = replace(one, instances=one.instances * 150)
    with pytest.raises(ImageTooLargeError, match=r"ask for Deflated"):
        encode_dicom(result, "seg", coded_manifest(), DicomOptions(explicit=True))


def test_masks_of_more_bytes_than_a_value_has_are_none() -> None:
    mask = runs_of(np.ones((4096, 4096), np.bool_))  # 2 MiB
    result = result_of(hospital_film(), [half()])
    many = tuple(replace(result.instances[0], runs=mask) for _ in range(1025))
    with pytest.raises(ImageTooLargeError, match="2,149,580,800 bytes of masks before"):
        encode_dicom(replace(result, instances=many), "seg", coded_manifest())


@pytest.mark.parametrize("name", ["Lungs\n\x1b$B\0 2", " \u0301 ", "x" * 64, "\u202e\\"])
@pytest.mark.parametrize("annotated", [False, True])
def test_texts_are_values_that_there_can_be(name: str, annotated: bool) -> None:
    """PS3.5 6.2: LO and SH have no control characters; what is required is not empty."""
    model = replace(MODEL, name=name, version=name)
    result = replace(result_of(hospital_film(), [half()]), model=model, is_annotated=annotated)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a value that is too long
        found = written(result)
    texts = [found.ManufacturerModelName, found.SeriesDescription, *found.SoftwareVersions]
    segment = found.SegmentSequence[0]
    texts += [segment.SegmentAlgorithmName, segment.TrackingID]
    assert all(text.isascii() and text.isprintable() and text for text in texts)


def test_annotations_that_say_something_else_are_other_objects() -> None:
    result = replace(result_of(hospital_film(), [half()]), is_annotated=True)
    scored = [replace(result.instances[0], score=score) for score in (0.901, 0.904)]
    told = [
        *(replace(result, instances=(one,)) for one in scored),
        replace(result, model=replace(MODEL, name="other")),
        replace(result, model=replace(MODEL, version="4")),
    ]
    assert len({written(one).SOPInstanceUID for one in told}) == 4


def test_loss_in_the_film_is_told() -> None:
    lossy: dict[str, Any] = {"LossyImageCompression": "01", "LossyImageCompressionRatio": "12.5"}
    found = written(result_of(hospital_film(**lossy), [half()]))
    assert (found.LossyImageCompression, found.LossyImageCompressionRatio) == ("01", 12.5)
    plain = written(result_of(hospital_film(), [half()]))
    assert plain.LossyImageCompression == "00"
    assert "LossyImageCompressionRatio" not in plain
