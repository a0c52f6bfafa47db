"""DICOM films with SEG objects: the masks that arrive, and of which films they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from datasets.gather.__main__ import main
from solo.formats.dicom.objects import DicomOptions, encode_dicom
from tests.support.dicom_results import SERIES, coded_manifest, hospital_film, result_of
from tests.support.seg_files import (
    DEFLATED,
    HEART,
    LUNG,
    Frame,
    Segment,
    reference,
    seg_file,
    series_reference,
)
from tests.support.seg_folder import SIZE, film, film_uid, folder, gather, noise, same

ONE, TWO, THREE = noise(1), noise(2), noise(3)
NOTHING = np.zeros(SIZE, np.bool_)
SEGMENTS = [Segment("Left lung", LUNG), Segment("Heart", HEART)]


def of(number: int, frame: int | None = None) -> list[tuple[str, int | None]]:
    return [(film_uid(number), frame)]


def test_frames_in_any_order_are_the_masks_of_their_films(tmp_path: Path) -> None:
    frames = [Frame(ONE, 2, of(2)), Frame(TWO, 1, of(1)), Frame(THREE, 1, of(2))]
    source = folder(
        tmp_path / "in",
        a__IM01=film(1),
        a__IM02=film(2),
        b__x=seg_file(SEGMENTS, frames),
        notes=b"no DICOM",
        empty=b"",
    )
    found = gather(source, out=tmp_path / "out").objects
    assert found.keys() == {(1, 0), (2, 0)}
    assert same(found[1, 0], [("Left lung", TWO)])
    assert same(found[2, 0], [("Heart", ONE), ("Left lung", THREE)])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DEFLATED])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_frames_of_one_bit_are_told_apart_within_bytes(
    tmp_path: Path, syntax: Any, count: int
) -> None:
    masks = [noise(seed) for seed in range(count)]
    frames = [Frame(mask, number, of(1)) for number, mask in enumerate(masks, 1)]
    seg = seg_file([Segment("rib")] * count, frames, syntax=syntax)
    found = gather(folder(tmp_path / "in", film=film(1), seg=seg), out=tmp_path / "out").objects
    assert same(found[1, 0], [("rib", mask) for mask in masks])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_a_fraction_counts_from_half_of_the_largest_on(tmp_path: Path, syntax: Any) -> None:
    cells = np.where(ONE, 100, 99)
    seg = seg_file(
        SEGMENTS[:1], [Frame(cells, 1, of(1))], "FRACTIONAL", syntax, MaximumFractionalValue=200
    )
    found = gather(folder(tmp_path / "in", film=film(1), seg=seg), out=tmp_path / "out").objects
    assert same(found[1, 0], [("Left lung", ONE)])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, DEFLATED])
def test_a_label_map_shows_a_segment_by_each_value(tmp_path: Path, syntax: Any) -> None:
    cells = np.where(ONE, 1, np.where(TWO, 2, 0))
    seg = seg_file(SEGMENTS, [Frame(cells, None, of(1))], "LABELMAP", syntax)
    found = gather(folder(tmp_path / "in", film=film(1), seg=seg), out=tmp_path / "out").objects
    assert same(found[1, 0], [("Left lung", ONE), ("Heart", TWO & ~ONE)])


@pytest.mark.parametrize("explicit", [True, False])
def test_our_own_seg_gives_the_masks_that_it_was_made_of(tmp_path: Path, explicit: bool) -> None:
    content = film(1)
    result = result_of(content, [ONE, TWO, THREE], ["bright", "dark", "bright"])
    seg = encode_dicom(result, "seg", coded_manifest(), DicomOptions(explicit=explicit))
    found = gather(folder(tmp_path / "in", film=content, seg=seg), out=tmp_path / "out").objects
    assert same(found[1, 0], [("bright", ONE), ("dark", TWO), ("bright", THREE)])


def test_frames_of_one_segment_and_film_are_one_instance(tmp_path: Path) -> None:
    frames = [Frame(ONE, 1, of(1)), Frame(TWO, 1, of(1))]
    source = folder(tmp_path / "in", film=film(1), seg=seg_file(SEGMENTS, frames))
    assert same(gather(source, out=tmp_path / "out").objects[1, 0], [("Left lung", ONE | TWO)])


def test_a_frame_of_a_film_with_many_is_found_by_its_number(tmp_path: Path) -> None:
    greys = np.random.default_rng(0).integers(0, 255, (4, *SIZE), np.uint8)
    cine = hospital_film(greys, SOPInstanceUID=film_uid(9))
    frames = [Frame(ONE, 1, of(9, 4)), Frame(TWO, 1, of(9, 2))]
    source = folder(tmp_path / "in", film=cine, seg=seg_file(SEGMENTS, frames))
    found = gather(source, out=tmp_path / "out").objects
    assert found.keys() == {(9, 1), (9, 3)}
    assert same(found[9, 3], [("Left lung", ONE)])
    assert same(found[9, 1], [("Left lung", TWO)])


@pytest.mark.parametrize(
    "elements",
    [
        {"ReferencedSeriesSequence": [series_reference(SERIES, film_uid(1))]},
        {"ReferencedSeriesSequence": [series_reference(SERIES)]},
        {"SourceImageSequence": [reference(film_uid(1))]},
    ],
    ids=["instance", "series of one film", "source image"],
)
def test_where_one_film_is_meant_it_need_not_be_named_by_frame(
    tmp_path: Path, elements: dict[str, Any]
) -> None:
    seg = seg_file(SEGMENTS, [Frame(ONE, 1, [])], **elements)
    source = folder(tmp_path / "in", film=film(1), seg=seg)
    assert same(gather(source, out=tmp_path / "out").objects[1, 0], [("Left lung", ONE)])


def test_a_segment_without_a_pixel_says_that_there_is_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [Frame(ONE, 1, of(1)), Frame(NOTHING, 1, of(2))]
    source = folder(
        tmp_path / "in", a=film(1), b=film(2), c=film(3), seg=seg_file(SEGMENTS, frames)
    )
    found = gather(source, out=tmp_path / "out").objects
    assert found.keys() == {(1, 0), (2, 0)}  # nobody looked at the third
    assert found[2, 0] == []
    assert balance(capsys) == [
        (3, 2, f"in {source}"),
        (0, -1, "a segment of 'seg' has no pixel on its film"),
        (-1, 0, "no SEG is of 'c', or none of a frame of it"),
        (2, 1, f"in {tmp_path / 'out'}"),
    ]


CINE = hospital_film(np.zeros((3, *SIZE), np.uint8), SOPInstanceUID=film_uid(9))
Lost = tuple[list[Frame], dict[str, Any], str]
LOST: dict[str, Lost] = {
    "film": ([Frame(ONE, 1, of(5))], {}, "is of a film that is not there"),
    "size": ([Frame(ONE[:-1], 1, of(2))], {}, "is of 12 x 19 pixels, its film of 13 x 19"),
    "no film": ([Frame(ONE, 1, [])], {}, "does not say by UID which film it is of"),
    "films": ([Frame(ONE, 1, of(1) + of(2))], {}, "does not say by UID which film it is of"),
    "series": (
        [Frame(ONE, 1, [])],
        {"ReferencedSeriesSequence": [series_reference(SERIES)]},
        "does not say by UID which film it is of",
    ),
    "frame": ([Frame(ONE, 1, of(9, 4))], {}, "is of frame 4 of a film that has 3"),
    "which": ([Frame(ONE, 1, of(9))], {}, "does not say which of its film's 3 frames it is of"),
    "segment": ([Frame(ONE, 7, of(1))], {}, "a segment that 'lost' does not describe"),
    "bits": ([Frame(ONE, 1, of(1))], {"PixelData": bytes(10)}, "pixel data end before"),
    "frames": ([Frame(ONE, 1, of(1))], {"NumberOfFrames": 2}, "frames are 2, and 1 are described"),
    "none": ([Frame(ONE, 1, of(1))], {"PixelData": None}, "it has no frames"),
    "cells": ([Frame(ONE, 1, of(1))], {"BitsAllocated": 32, "BitsStored": 32}, "8 nor 16 bits"),
}


@pytest.mark.parametrize("case", LOST)
def test_what_cannot_be_used_is_counted_with_a_reason(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, elements, reason = LOST[case]
    good = seg_file(SEGMENTS[1:], [Frame(TWO, 1, of(2))])
    lost = seg_file(SEGMENTS[:1], frames, **elements)
    source = folder(tmp_path / "in", a=film(1), b=film(2), cine=CINE, good=good, lost=lost)
    found = gather(source, out=tmp_path / "out").objects
    assert same(found[2, 0], [("Heart", TWO)])
    rows = balance(capsys)
    assert any(reason in sentence for _, _, sentence in rows)
    assert sum(row[0] for row in rows[:-1]) == rows[-1][0]
    assert sum(row[1] for row in rows[:-1]) == rows[-1][1]


def test_a_folder_without_a_film_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(tmp_path / "in", seg=seg_file(SEGMENTS, [Frame(ONE, 1, of(1))]))
    assert main([str(source), "--out", str(tmp_path / "out")]) == 1
    assert "put the film beside it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def balance(capsys: pytest.CaptureFixture[str]) -> list[tuple[int, int, str]]:
    lines = capsys.readouterr().out.splitlines()[1:]
    rows = [line.split(maxsplit=2) for line in lines if not line.startswith("-")]
    return [(int(films), int(instances), rest) for films, instances, rest in rows]
