"""Patient-wise splits: films of one patient are never on both sides."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from model.data.coco import CocoDataset
from model.data.coco_values import is_patient

FOLDS_HELP = "how many, or a JSON file with a list of the patients of each"


@dataclass(frozen=True)
class Folds:
    """Which fold each patient is in: by the hash of the name, or by a list.

    By the hash a patient keeps its fold whoever else joins the data set. Folds are then of about
    the same size only: `describe_split` says how large the one held out is.

    Attributes:
        count: at least 2.
        listed: pairs of a patient and its fold, for which no hash is asked.
    """

    count: int = 5
    listed: tuple[tuple[str, int], ...] = ()

    def of(self, patients: Iterable[str]) -> dict[str, int]:
        """The fold of each patient, from 0."""
        listed = dict(self.listed)
        return {name: listed.get(name, _hash(name) % self.count) for name in patients}

    @classmethod
    def read(cls, text: str) -> Folds:
        """A number of folds, or the path of a JSON file: a list with a list of patients for each.

        Raises:
            OSError: if the file cannot be read.
            ValueError: if it is no such list, or a patient is in it twice or has no name.
        """
        if text.isdecimal():
            return cls(int(text))
        try:
            parts = json.loads(Path(text).read_bytes())
        except ValueError as error:
            raise ValueError(f"{text} is not JSON: {error}") from None
        if not isinstance(parts, list) or not all(isinstance(part, list) for part in parts):
            raise ValueError(f"{text} is no list with a list of patients for each fold")
        listed = [(str(name).strip(), fold) for fold, part in enumerate(parts) for name in part]
        if not all(map(_is_named, chain.from_iterable(parts))):
            raise ValueError(f"{text} has something else than texts and whole numbers for patients")
        if max(Counter(name for name, _ in listed).values(), default=0) > 1:
            raise ValueError(f"{text} has a patient in two places")
        return cls(len(parts), tuple(listed))


def folds_argument(text: str) -> Folds:
    """`Folds.read` for argparse, whose own sentence would hide the reason."""
    try:
        return Folds.read(text)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f"it is neither a number of folds nor a file that lists their patients: {error}"
        ) from None


def split_by_patient(
    data: CocoDataset, fold: int, folds: int | Folds
) -> tuple[CocoDataset, CocoDataset]:
    """Splits a data set into films to train on and films held out, by patient.

    Args:
        data: all films.
        fold: the fold to hold out, from 0.
        folds: how many there are, at least 2, or which patients are in each.

    Raises:
        ValueError: if there is no such fold, or nobody is in it, or all are, or a list has none of
            the patients.
    """
    folds = Folds(folds) if isinstance(folds, int) else folds
    if not 0 <= fold < folds.count or folds.count < 2:
        raise ValueError(
            f"there is no fold {fold} of {folds.count}: there are two or more, numbered from 0"
        )
    fold_of = folds.of(record.patient for record in data.images)
    if folds.listed and fold_of.keys().isdisjoint(dict(folds.listed)):
        raise ValueError(
            "the list of folds names no patient of this data set: it is another one's, or its "
            "patients have other names there"
        )
    sizes = Counter(fold_of.values())
    if sizes[fold] in (0, len(fold_of)):
        filled = ", ".join(f"{number}: {sizes[number]}" for number in range(folds.count))
        raise ValueError(
            f"fold {fold} of {folds.count} has {sizes[fold]} of the {len(fold_of)} patients "
            f"({filled}): hold another fold out, or ask for other --folds"
        )
    return (
        data.subset(tuple(record for record in data.images if fold_of[record.patient] != fold)),
        data.subset(tuple(record for record in data.images if fold_of[record.patient] == fold)),
    )


def describe_split(train: CocoDataset, held_out: CocoDataset) -> str:
    """How large the two sides of a split are, in a sentence."""
    films = len(train.images) + len(held_out.images)
    patients = [len({record.patient for record in part.images}) for part in (train, held_out)]
    return (
        f"Held out: {len(held_out.images):,} of {films:,} films "
        f"({len(held_out.images) / films:.0%}), {patients[1]:,} of {sum(patients):,} patients."
    )


def deal_patients(patients: Iterable[str], folds: int) -> dict[str, int]:
    """Deals patients out to folds of the same size within one, in the order of their hashes.

    For one computation alone: one patient more moves nearly all others to other folds.

    Returns:
        The fold of each patient, from 0.
    """
    dealt = sorted(set(patients), key=_hash)
    return {name: place % folds for place, name in enumerate(dealt)}


def _is_named(patient: object) -> bool:
    return patient is not None and is_patient(patient) and bool(str(patient).strip())


def _hash(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)
