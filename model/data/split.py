"""Patient-wise splits: films of one patient are never on both sides."""

from __future__ import annotations

import hashlib

from model.data.coco import CocoDataset


def split_by_patient(data: CocoDataset, fold: int, folds: int) -> tuple[CocoDataset, CocoDataset]:
    """Splits a data set into films to train on and films held out, by patient.

    Patients are dealt out to the folds in the order of the hashes of their names: the order of the
    file does not matter, and each fold gets as many patients as any other, within one.

    Args:
        data: all films.
        fold: the fold to hold out, from 0.
        folds: how many there are, at least 2.

    Raises:
        ValueError: if there is no such fold, or fewer patients than folds.
    """
    patients = {record.patient for record in data.images}
    if not 0 <= fold < folds or folds < 2:
        raise ValueError(f"there is no fold {fold} of {folds}")
    if len(patients) < folds:
        raise ValueError(f"{len(patients)} patients cannot be split into {folds} folds")
    dealt = sorted(patients, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    held_out = set(dealt[fold::folds])
    return (
        data.subset(tuple(record for record in data.images if record.patient not in held_out)),
        data.subset(tuple(record for record in data.images if record.patient in held_out)),
    )
