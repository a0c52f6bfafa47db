"""Entries of an annotation file: ids, categories, and what an image's entry says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from model.data.coco_values import is_patient, is_spacing, is_text, whole_number

Entry = dict[str, Any]


def with_ids(kind: str, entries: list[Any], faults: list[str]) -> list[tuple[int, Entry]]:
    """The entries that have an id, each with it; adds a fault for every other one.

    Args:
        kind: of the entries, for the faults.
        entries: of one list of the document.
        faults: to add to.
    """
    found = []
    for index, entry in enumerate(entries):
        key = whole_number(entry.get("id")) if isinstance(entry, dict) else None
        if key is None:
            faults.append(f"{kind} number {index} has no integer 'id'")
        else:
            found.append((key, entry))
    faults += repeated(f"{kind} id", (str(key) for key, _ in found))
    return found


def repeated(what: str, values: Iterable[str]) -> Iterator[str]:
    """A fault for each value that occurs more than once."""
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what} {value} is used {count} times"


def read_categories(document: Entry, faults: list[str]) -> dict[int, str]:
    """Names by category id, in the order of the file; ids need not be contiguous.

    A category without annotations that is the supercategory of another is no class but a node of
    the tree, as the root that Roboflow writes, often with the name of a class.

    Args:
        document: the whole annotation file.
        faults: to add to.
    """
    entries = with_ids("category", document["categories"], faults)
    roots = _roots(entries, document)
    entries = [(key, entry) for key, entry in entries if key not in roots]
    unnamed = [key for key, entry in entries if not is_text(entry.get("name"))]
    faults += [f"category {key} has no 'name'" for key in unnamed]
    names = {key: entry["name"] for key, entry in entries if key not in unnamed}
    faults += repeated("category name", (f"'{name}'" for name in names.values()))
    if not document["categories"]:
        faults.append("the data set has no categories")
    return names


def _roots(entries: list[tuple[int, Entry]], document: Entry) -> set[int]:
    annotated = {
        whole_number(entry.get("category_id"))
        for entry in document["annotations"]
        if isinstance(entry, dict)
    }
    roots = {
        key
        for key, entry in entries
        if key not in annotated and is_text(name := entry.get("name"))
        if any(other.get("supercategory") == name for number, other in entries if number != key)
    }
    return roots if len(roots) < len(entries) else set()


def image_faults(entry: Entry) -> Iterator[str]:
    """Faults of what an image's entry says beside name and size."""
    for name in ("patientid", "patient_id"):
        if not is_patient(entry.get(name)):
            yield f": '{name}' must be a text or a whole number"
    spacing_mm = entry.get("pixel_spacing_mm")
    if spacing_mm is not None and not is_spacing(spacing_mm):
        yield ": 'pixel_spacing_mm' must be two lengths above 0"


def frame_of(entry: Entry) -> int:
    """The frame that an entry shows, in the words of `python -m solo`, or 0.

    Other tools number the images of a video by `frame`, each a file of its own: only beside the
    number of `frames` of the file does it choose one.
    """
    frame, frames = entry.get("frame"), entry.get("frames")
    if isinstance(frame, int) and isinstance(frames, int) and 0 <= frame < frames:
        return int(frame)
    return 0


def patient_of(key: int, entry: Entry) -> str:
    """The patient's name, or one that no other image has."""
    for name in ("patientid", "patient_id"):
        if entry.get(name) not in (None, ""):
            return str(entry[name])
    return f"the one of image {key}"
