"""Films that a network was trained on, known again in any data set by their bytes.

A checkpoint holds the first 16 digits of each file's SHA-256: ids of images count from 1 in every
data set, and names of patients belong in no checkpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from model.data.coco import CocoDataset

SEEN_FILMS_HELP = "measure films too that the network was trained on"
_DIGITS = 16


def film_digests(data: CocoDataset) -> dict[Path, str]:
    """The digest of each film's file."""
    paths = list(dict.fromkeys(record.path for record in data.images))
    with ThreadPoolExecutor() as pool:  # hashing and reading leave Python's lock
        return dict(zip(paths, pool.map(_digest, paths), strict=True))


def content_digest(data: CocoDataset) -> str:
    """A digest of what a run learns from: films, and the outlines and classes on them."""
    films = film_digests(data)
    found = hashlib.sha256()
    for record in data.images:
        found.update(f"{record.image_id} {record.frame} {films[record.path]}".encode())
        for each in record.annotations:
            found.update(f" {each.label} {each.is_crowd} {each.rle}".encode())
            for ring in each.polygons:
                found.update(ring.tobytes() + b";")
    return found.hexdigest()


def require_unseen(
    network: Path, trained: Collection[str], data: CocoDataset, measured: CocoDataset
) -> None:
    """Checks that a network was trained on no film that it is to be measured on.

    Nor on another film of the same patient, where the data set has that too.

    Args:
        network: its file, for the sentence.
        trained: digests of the films that it was trained on.
        data: the whole data set, which tells whose films those are.
        measured: a part of it, or all.

    Raises:
        ValueError: if it was, with how many they are.
    """
    trained = frozenset(trained)
    digests = film_digests(data)
    patients = {record.patient for record in data.images if digests[record.path] in trained}
    films = sum(digests[record.path] in trained for record in measured.images)
    seen = sum(record.patient in patients for record in measured.images)
    if seen:
        raise ValueError(
            f"{network} was trained on {films:,} of these {len(measured.images):,} films"
            + (f", and on others of the same patients as {seen - films:,} more" * (seen > films))
            + ": what is measured on them tells nothing of others. Measure on films that it has "
            "not seen, such as the fold that was held out, or ask for --seen-films"
        )


def require_apart(data: CocoDataset, held_out: CocoDataset) -> None:
    """Checks that no film to train on is held out too, by whatever name.

    Raises:
        ValueError: if some are, with how many.
    """
    trained = frozenset(film_digests(data).values())
    digests = film_digests(held_out)
    both = sum(digests[record.path] in trained for record in held_out.images)
    if both:
        raise ValueError(
            f"{both:,} of the {len(held_out.images):,} films to validate on are trained on too, "
            "the same file byte for byte: what is measured on them tells nothing of others. Take "
            "them out of one of the two, or give a film and its copies the same patient_id where "
            "a fold is held out"
        )


def unknown_films(network: Path) -> str:
    """What to say of a network whose films are not known."""
    return (
        f"{network} does not say which films it was trained on: whether these are among them is "
        "not known"
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]
