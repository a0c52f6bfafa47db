"""Splits by patient."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.coco import CocoDataset, ImageRecord
from model.data.split import split_by_patient


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
    if len(people) < folds:
        with pytest.raises(ValueError, match=f"{len(people)} patients cannot be split"):
            split_by_patient(data, 0, folds)
        return
    held_out_once: list[int] = []
    for fold in range(folds):
        train, held_out = split_by_patient(data, fold, folds)
        assert not {r.patient for r in train.images} & {r.patient for r in held_out.images}
        assert sorted(ids(train) + ids(held_out)) == list(range(len(patients)))
        assert len({r.patient for r in held_out.images}) in (
            len(people) // folds,
            -(-len(people) // folds),
        )
        assert (held_out.class_names, held_out.category_ids) == (("disc",), (3,))
        held_out_once += ids(held_out)
    assert sorted(held_out_once) == list(range(len(patients)))


@given(st.permutations([f"p{n}" for n in range(9)]))
def test_a_patients_fold_does_not_depend_on_the_order_of_the_file(patients: list[str]) -> None:
    held_out = split_by_patient(data_set(patients), 1, 3)[1]
    usual = split_by_patient(data_set(sorted(patients)), 1, 3)[1]
    assert {r.patient for r in held_out.images} == {r.patient for r in usual.images}


def test_films_keep_their_order() -> None:
    train, held_out = split_by_patient(data_set([f"p{n % 7}" for n in range(30)]), 0, 3)
    assert ids(train) == sorted(ids(train))
    assert ids(held_out) == sorted(ids(held_out))


@pytest.mark.parametrize(("fold", "folds"), [(-1, 3), (3, 3), (0, 1), (0, 0), (0, -2)])
def test_a_fold_that_is_not_there(fold: int, folds: int) -> None:
    with pytest.raises(ValueError, match=f"there is no fold {fold} of {folds}"):
        split_by_patient(data_set(["a", "b", "c"]), fold, folds)
