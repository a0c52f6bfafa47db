"""Splits by patient."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.coco import CocoDataset, ImageRecord
from model.data.split import Folds, deal_patients, describe_split, folds_argument, split_by_patient

CARD = Path("model/zoo/cxr-lungs.folds.json")


def data_set(patients: list[str]) -> CocoDataset:
    """Film i is of patients[i]."""
    films = [
        ImageRecord(index, Path(f"{index}.png"), 10, 10, patient, ())
        for index, patient in enumerate(patients)
    ]
    return CocoDataset(("disc",), (3,), tuple(films))


def ids(data: CocoDataset) -> list[int]:
    return [record.image_id for record in data.images]


films_of = st.lists(st.sampled_from([f"patient {n}" for n in range(12)]), min_size=2, max_size=40)


@given(films_of, st.integers(2, 6))
def test_folds_part_the_patients(patients: list[str], folds: int) -> None:
    people = set(patients)
    data = data_set(patients)
    held_out_once: list[int] = []
    for fold in range(folds):
        try:
            train, held_out = split_by_patient(data, fold, folds)
        except ValueError as error:
            inside = [name for name in people if Folds(folds).of([name])[name] == fold]
            assert f"has {len(inside)} of the {len(people)} patients" in str(error)  # noqa: PT017
            assert len(inside) in (0, len(people))
            held_out_once += [i for i, name in enumerate(patients) if name in inside]
            continue
        assert not {r.patient for r in train.images} & {r.patient for r in held_out.images}
        assert sorted(ids(train) + ids(held_out)) == list(range(len(patients)))
        assert (held_out.class_names, held_out.category_ids) == (("disc",), (3,))
        held_out_once += ids(held_out)
    assert sorted(held_out_once) == list(range(len(patients)))


@given(st.permutations([f"p{n}" for n in range(9)]))
def test_a_patients_fold_does_not_depend_on_the_order_of_the_file(patients: list[str]) -> None:
    held_out = split_by_patient(data_set(patients), 1, 3)[1]
    usual = split_by_patient(data_set(sorted(patients)), 1, 3)[1]
    assert {r.patient for r in held_out.images} == {r.patient for r in usual.images}


@given(films_of, films_of, st.integers(2, 6))
def test_a_patient_keeps_its_fold_when_others_join(
    patients: list[str], more: list[str], folds: int
) -> None:
    deal = Folds(folds)
    assert deal.of([*more, *patients]).items() >= deal.of(patients).items()


def test_folds_of_many_patients_are_of_about_the_same_size() -> None:
    sizes = Counter(Folds(5).of(f"patient {n}" for n in range(5000)).values())
    assert all(900 < sizes[fold] < 1100 for fold in range(5))


def test_listed_patients_are_where_the_list_says(tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    path.write_text('[["a", 7, 0], ["b "], []]')
    folds = folds_argument(str(path))
    assert folds.count == 3
    assert folds.of(["a", "b", "7", "0"]) == {"a": 0, "b": 1, "7": 0, "0": 0}
    assert folds.of(["stranger"]) == Folds(3).of(["stranger"])
    held_out = split_by_patient(data_set(["a", "b", "7", "b"]), 1, folds)[1]
    assert ids(held_out) == [1, 3]


def test_a_list_of_another_data_sets_patients_is_refused() -> None:
    folds = Folds(2, (("a", 0), ("b", 1)))
    with pytest.raises(ValueError, match="names no patient of this data set"):
        split_by_patient(data_set(["A", "B", "C"]), 0, folds)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON"),
        ('{"a": 0}', "is no list with a list of patients"),
        ('["a"]', "is no list with a list of patients"),
        ('[["a"], ["a"]]', "has a patient in two places"),
        ('[["7"], [7, " 7 "]]', "has a patient in two places"),
        ("[[null], []]", "something else than texts and whole numbers"),
        ("[[1.5], []]", "something else than texts and whole numbers"),
        ('[[["a"]], []]', "something else than texts and whole numbers"),
        ('[[" "], []]', "something else than texts and whole numbers"),
        (None, "No such file"),
    ],
)
def test_lists_that_are_none(text: str | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ArgumentTypeError, match=f"neither a number .*{sentence}"):
        folds_argument(str(path))


def test_the_model_cards_folds_are_still_those_of_their_training() -> None:
    """Its 48 patients were dealt out evenly, in the order of their hashes."""
    folds = Folds.read(str(CARD))
    listed = dict(folds.listed)
    assert (folds.count, len(listed)) == (5, 48)
    assert listed == deal_patients(listed, 5)


def test_a_split_is_described() -> None:
    train, held_out = data_set(["a", "a", "b"]), data_set(["c"])
    assert describe_split(train, held_out) == "Held out: 1 of 4 films (25%), 1 of 3 patients."


def test_a_fold_without_a_patient_is_refused() -> None:
    (full,) = Folds(3).of(["a"]).values()
    for fold in range(3):
        inside = int(fold == full)
        with pytest.raises(ValueError, match=rf"has {inside} of the 1 patients .*other --folds"):
            split_by_patient(data_set(["a"]), fold, 3)


def test_films_keep_their_order() -> None:
    train, held_out = split_by_patient(data_set([f"p{n % 7}" for n in range(30)]), 0, 3)
    assert ids(train) == sorted(ids(train))
    assert ids(held_out) == sorted(ids(held_out))


@pytest.mark.parametrize(("fold", "folds"), [(-1, 3), (3, 3), (0, 1), (0, 0), (0, -2)])
def test_a_fold_that_is_not_there(fold: int, folds: int) -> None:
    with pytest.raises(ValueError, match=f"there is no fold {fold} of {folds}"):
        split_by_patient(data_set(["a", "b", "c"]), fold, folds)
