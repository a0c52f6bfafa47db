"""Splits by patient: films of one patient are never on both sides."""

from __future__ import annotations

import hashlib

from model.coco import CocoDataset


def fold_of(patient: str, folds: int, patients: list[str]) -> int:
    """The fold of a patient: dealt out in the order of the hashes of their names.

    The order does not depend on the order of the file, and each fold gets as many patients as any
    other, within one.
    """
    dealt = sorted(set(patients), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return dealt.index(patient) % folds


def split_by_patient(data: CocoDataset, fold: int, folds: int) -> tuple[CocoDataset, CocoDataset]:
    """Films to train on and films held out.

    Args:
        data: all films.
        fold: the fold to hold out, from 0.
        folds: how many there are, at least 2.

    Raises:
        ValueError: if there is no such fold, or fewer patients than folds.
    """
    patients = [record.patient for record in data.images]
    if not 0 <= fold < folds or folds < 2:
        raise ValueError(f"there is no fold {fold} of {folds}")
    if len(set(patients)) < folds:
        raise ValueError(f"{len(set(patients))} patients cannot be split into {folds} folds")
    held_out = [fold_of(patient, folds, patients) == fold for patient in patients]
    return (
        data.subset(tuple(r for r, out in zip(data.images, held_out, strict=True) if not out)),
        data.subset(tuple(r for r, out in zip(data.images, held_out, strict=True) if out)),
    )
