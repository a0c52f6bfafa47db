"""Several SEG objects for one film: corrections replace, parts add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.seg_files import Frame, Segment, predecessor, seg_file
from tests.support.seg_folder import Mask, film, film_uid, folder, gather, noise, same

OLD, NEW, OTHER = noise(1), noise(2), noise(3)


def seg(mask: Mask, *labels: str, made: str = "MANUAL", film: int = 1, **elements: Any) -> bytes:
    """A SEG that shows one mask under each label."""
    segments = [Segment(label, made=made) for label in labels]
    frames = [Frame(mask, n, [(film_uid(film), None)]) for n in range(1, len(labels) + 1)]
    return seg_file(segments, frames, **elements)


def objects(tmp_path: Path, **files: bytes) -> list[tuple[str, Mask]]:
    source = folder(tmp_path / "in", film=film(1), **files)
    return gather(source, out=tmp_path / "out").objects[1, 0]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize(
    "later",
    [
        {"ContentDate": "20260103", "ContentTime": "010000"},
        {"ContentTime": "030405.5"},
        {"ContentTime": "0306"},
    ],
)
def test_the_later_of_two_counts_as_a_whole(
    tmp_path: Path, names: tuple[str, str], later: dict[str, Any]
) -> None:
    first, second = seg(OLD, "lung", "heart"), seg(NEW, "lung", **later)
    found = objects(tmp_path, **dict(zip(names, (first, second), strict=True)))
    assert same(found, [("lung", NEW)])  # who corrected it took the heart away


def test_a_date_of_the_series_stands_in_for_one_of_the_content(tmp_path: Path) -> None:
    none: dict[str, Any] = {"ContentDate": None, "ContentTime": None}
    first = seg(OLD, "lung", **none, SeriesDate="20260101")
    second = seg(NEW, "lung", **none, SeriesDate="20260102")
    assert same(objects(tmp_path, b=first, a=second), [("lung", NEW)])


def test_a_model_that_runs_again_does_not_undo_a_correction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corrected = seg(NEW, "lung")
    again = seg(OLD, "lung 1", "lung 2", made="AUTOMATIC", ContentDate="20270101")
    assert same(objects(tmp_path, a=corrected, b=again), [("lung", NEW)])
    text = capsys.readouterr().out
    assert "       0         -2    another SEG of the film counts, not 'b'" in text
    assert "count as background" not in text
    assert "a model's own" not in text


def test_parts_that_share_no_class_add_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = objects(tmp_path, a=seg(OLD, "lung"), b=seg(OTHER, "heart", made="AUTOMATIC"))
    assert same(found, [("lung", OLD), ("heart", OTHER)])
    assert "a model's own, by what their SEG says: 1." in capsys.readouterr().out


def test_a_version_that_names_its_predecessor_replaces_it_whatever_it_shows(
    tmp_path: Path,
) -> None:
    first = seg(OLD, "Segment 1", SOPInstanceUID="1.2.5")
    renamed = seg(
        NEW, "lung", SOPInstanceUID="1.2.6", PredecessorDocumentsSequence=[predecessor("1.2.5")]
    )
    assert same(objects(tmp_path, a=first, b=renamed), [("lung", NEW)])


def test_versions_that_replace_each_other_leave_one(tmp_path: Path) -> None:
    first, second = (
        seg(mask, label, SOPInstanceUID=uid, PredecessorDocumentsSequence=[predecessor(other)])
        for mask, label, uid, other in (
            (OLD, "lung", "1.2.5", "1.2.6"),
            (NEW, "heart", "1.2.6", "1.2.5"),
        )
    )
    assert len(objects(tmp_path, a=first, b=second)) == 1


def test_a_correction_of_one_film_leaves_the_labels_of_others(tmp_path: Path) -> None:
    frames = [Frame(OLD, 1, [(film_uid(n), None)]) for n in (1, 2)]
    both = seg_file([Segment("lung")], frames)
    corrected = seg(NEW, "lung", film=2, ContentDate="20260201")
    source = folder(tmp_path / "in", a=film(1), b=film(2), c=both, d=corrected)
    found = gather(source, out=tmp_path / "out").objects
    assert same(found[1, 0], [("lung", OLD)])
    assert same(found[2, 0], [("lung", NEW)])
