"""Entries of an annotation file: ids, categories, and what an image's entry says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from model.data.coco_values import is_patient, is_spacing, is_text, whole_number
from solo.contract.manifest import check_name

Entry = dict[str, Any]
UNNAMED = "the one of image "  # a patient of whom the data set does not tell; an id follows
_LISTS = {"image": "images", "category": "categories"}  # by the kind of their entries


def with_ids(kind: str, entries: list[Any], faults: list[str]) -> list[tuple[int, Entry]]:
    """The entries that have an id, each with it; adds a fault for every other one, or one for all.

    Args:
        kind: of the entries, for the faults.
        entries: of one list of the document.
        faults: to add to.
    """
    found, without = [], []
    for index, entry in enumerate(entries):
        key = whole_number(entry.get("id")) if isinstance(entry, dict) else None
        if key is None:
            without.append(f"{kind} number {index} has no integer 'id'")
        else:
            found.append((key, entry))
    if len(without) > 1 and not found:
        without = [
            f"none of the {len(without):,} entries of '{_LISTS.get(kind, kind)}' has an integer "
            "'id': COCO's ids are whole numbers, which 'image_id' and 'category_id' repeat"
        ]
    faults += without
    faults += repeated(f"{kind} id", (str(key) for key, _ in found))
    return found


def repeated(what: str, values: Iterable[str]) -> Iterator[str]:
    """A fault for each value that occurs more than once."""
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what} {value} is used {count} times"


def read_categories(document: Entry, faults: list[str]) -> dict[int, str]:
    """Names by category id, in the order of the file; ids need not be contiguous.

    A category without annotations is no class if it is the supercategory of another, as the root
    that Roboflow writes, often with the name of a class, or if it is called the background.

    Args:
        document: the whole annotation file.
        faults: to add to.
    """
    entries = with_ids("category", document["categories"], faults)
    unused = _no_classes(entries, document)
    names = {key: entry.get("name") for key, entry in entries if key not in unused}
    for key, name in names.items():
        if not is_text(name) or not name.strip():
            faults.append(f"category {key} has no 'name' in letters")
            continue
        try:
            check_name(name)
        except ValueError as error:  # which the model's file would be refused for
            faults.append(f"category {key}: {error}")
    faults += _alike([name for name in names.values() if is_text(name) and name.strip()])
    if not document["categories"]:
        faults.append("the data set has no categories")
    return {key: str(name) for key, name in names.items()}


def _alike(names: list[str]) -> Iterator[str]:
    """A fault for each name of two classes but for case, blanks and underscores: a slip."""
    yield from repeated("category name", (f"'{name}'" for name in names))
    spellings: dict[str, dict[str, None]] = {}
    for name in names:
        spellings.setdefault("".join(name.replace("_", " ").split()).casefold(), {})[name] = None
    for alike in spellings.values():
        if len(alike) > 1:
            listed = ", ".join(f"'{name}'" for name in alike)
            yield f"the category names {listed} differ by case, blanks or underscores alone"


def _no_classes(entries: list[tuple[int, Entry]], document: Entry) -> set[int]:
    annotated = {
        whole_number(entry.get("category_id"))
        for entry in document["annotations"]
        if isinstance(entry, dict)
    }
    found = {
        key
        for key, entry in entries
        if key not in annotated and is_text(name := entry.get("name"))
        if name.strip("_ ").casefold() == "background"
        or any(other.get("supercategory") == name for number, other in entries if number != key)
    }
    return found if len(found) < len(entries) else set()


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
    """The patient's name, or one that no other file has.

    Blanks around a name mean nothing (DICOM PS3.5, value representation LO).

    Args:
        key: id of the first image of the entry's file: its frames are of one patient.
        entry: the image's.
    """
    for name in ("patientid", "patient_id"):
        if entry.get(name) is not None and (patient := str(entry[name]).strip()):
            return patient
    return f"{UNNAMED}{key}"
