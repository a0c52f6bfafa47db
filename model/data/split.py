"""Patient-wise splits: films of one patient are never on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from model.data.coco import CocoDataset


def split_by_patient(data: CocoDataset, fold: int, folds: int) -> tuple[CocoDataset, CocoDataset]:
    """Splits a data set into films to train on and films held out, by patient.

    Args:
        data: all films.
        fold: the fold to hold out, from 0.
        folds: how many there are, at least 2.

    Raises:
        ValueError: if there is no such fold, or fewer patients than folds.
    """
    if not 0 <= fold < folds or folds < 2:
        raise ValueError(f"there is no fold {fold} of {folds}")
    fold_of = deal_patients((record.patient for record in data.images), folds)
    if len(fold_of) < folds:
        raise ValueError(f"{len(fold_of)} patients cannot be split into {folds} folds")
    return (
        data.subset(tuple(record for record in data.images if fold_of[record.patient] != fold)),
        data.subset(tuple(record for record in data.images if fold_of[record.patient] == fold)),
    )


def deal_patients(patients: Iterable[str], folds: int) -> dict[str, int]:
    """Deals patients out to folds in the order of the hashes of their names.

    The order in which they are given does not matter, and each fold gets as many patients as any
    other, within one.

    Returns:
        The fold of each patient, from 0.
    """
    dealt = sorted(set(patients), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return {name: place % folds for place, name in enumerate(dealt)}
