"""Class names of segments: labels as people see them, and codes where they say nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets.gather.dicom_seg_names import SegmentName, class_names
from tests.support.seg_files import HEART, LUNG, TISSUE, Frame, Segment, seg_file
from tests.support.seg_folder import film, film_uid, folder, gather, noise


def named(*segments: tuple[str, tuple[str, str]]) -> list[str]:
    given = [SegmentName(label, *code) for label, code in segments]
    names = class_names(given)
    return [names[one] for one in given]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Left lung", "Left lung"),
        ("lung 2", "lung"),
        ("rib_12", "rib"),
        ("rib #3", "rib"),
        ("nodule (2)", "nodule"),
        ("  left   lung ", "left lung"),
        ("T11", "T11"),
        ("肺 2", "肺"),
    ],
)
def test_the_label_counts_without_the_number_of_an_instance(label: str, name: str) -> None:
    assert named((label, LUNG)) == [name]


@pytest.mark.parametrize(
    "label",
    [
        "Segment 1",
        "Segment_3",
        "segment",
        "Label 2",
        "Segmentation 1",
        "ROI-1",
        "3",
        "",
        "New Segment",
        "\u202elung",
    ],
)
def test_the_code_counts_where_nobody_named_the_segment(label: str) -> None:
    assert named((label, LUNG)) == ["Lung"]
    assert named((label, TISSUE)) == ["Tissue"]
    assert named((label, ("", ""))) == ["segment"]


def test_numbers_with_codes_of_their_own_are_a_part_of_the_name() -> None:
    upper, lower = ("1", "Upper incisor"), ("2", "Lower incisor")
    assert named(("tooth 11", upper), ("tooth 41", lower)) == ["tooth 11", "tooth 41"]
    assert named(("tooth 11", upper), ("tooth 12", upper)) == ["tooth", "tooth"]
    # a viewer that keeps no codes, beside an object of ours
    assert named(("lung 1", LUNG), ("lung 2", LUNG), ("lung 3", TISSUE)) == ["lung"] * 3


def test_spellings_that_differ_by_case_or_blanks_are_one_class() -> None:
    labels = ["Left lung", "left lung", "Leftlung", "Left lung 2"]
    assert named(*((label, TISSUE) for label in labels)) == ["Left lung"] * 4


def test_names_in_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segments = [
        Segment("Segment 1", LUNG, side="Left"),
        Segment("Knöchel 1"),
        Segment("Knöchel 2"),
        Segment("Heart", HEART),
    ]
    frames = [Frame(noise(n), n, [(film_uid(1), None)]) for n in (1, 2, 3, 4)]
    source = folder(tmp_path / "in", film=film(1), seg=seg_file(segments, frames))
    found = gather(source, out=tmp_path / "out").objects[1, 0]
    assert [name for name, _ in found] == ["Left Lung", "Knöchel", "Knöchel", "Heart"]
    text = capsys.readouterr().out
    assert "- Segments called 'Knöchel 1', 'Knöchel 2' are instances of 'Knöchel'." in text
    assert "- Segments called 'Segment 1' are instances of 'Left Lung'." in text


LATIN = b"ISO_IR 100"


@pytest.mark.parametrize(
    ("declared", "label", "read"),
    [
        (LATIN, "Knöchel", "Knöchel"),
        (b"\\ISO 2022 IR 87", "肺", "肺"),
        (b"ISO_IR 192", "肺", "肺"),
        (b"NONSENSE  ", "lung", "lung"),
        (None, "肺", "肺"),  # as OHIF writes it
    ],
)
def test_labels_are_read_in_the_character_set_of_the_object(
    declared: bytes | None, label: str, read: str, tmp_path: Path
) -> None:
    charset = "ISO_IR 192" if declared is None else declared.decode().strip().split("\\")
    seg = seg_file(
        [Segment(label)],
        [Frame(noise(1), 1, [(film_uid(1), None)])],
        SpecificCharacterSet="ISO_IR 100" if charset == ["NONSENSE"] else charset,
    )
    seg = seg.replace(LATIN, declared) if charset == ["NONSENSE"] and declared else seg
    seg = seg.replace(b"ISO_IR 192", b" " * 10) if declared is None else seg
    source = folder(tmp_path / "in", film=film(1), seg=seg)
    assert gather(source, out=tmp_path / "out").objects[1, 0][0][0] == read
