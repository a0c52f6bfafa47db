"""COCO layouts: of CVAT, Roboflow, FiftyOne, Label Studio, VIA and of COCO itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets.gather.layouts.edited_maps import take_edited_maps
from datasets.gather.layouts.export import Export
from model.data.annotation_file import (
    SPLITS,
    find_annotation_files,
    hidden_annotation_files,
    listed,
    split_of,
)
from model.data.coco import DatasetError, read_document
from model.data.coco_values import as_flag, is_text, whole_number

Entry = dict[str, Any]


def recognise_coco(source: Path) -> str:
    """Names the annotation files of a COCO data set; "" where there is none."""
    try:
        files, _ = find_annotation_files(source)
    except ValueError:
        return ""
    words = (b'"images"', b'"annotations"')
    if not all(word in files[0].read_bytes().replace(b"\0", b"") for word in words):
        return ""
    return f"COCO ({listed([file.relative_to(source) for file in files])})"


def read_coco(source: Path) -> Iterator[Export]:
    """Reads a data set, a document for each split.

    Args:
        source: the folder, or one of several annotation files.

    Raises:
        DatasetError: if there is no annotation file, or several that are not one a split.
    """
    try:
        files, _ = find_annotation_files(source)
    except ValueError as error:
        raise DatasetError(str(error)) from None
    splits = [split_of(file.relative_to(source)) for file in files] if len(files) > 1 else [""]
    if len(set(splits)) < len(splits) or (len(splits) > 1 and "" in splits):
        read_document(source)  # which says why one has to be named
    order = sorted(zip(splits, files, strict=True), key=lambda pair: SPLITS.index(pair[0]))
    read = [(split, *read_document(file)) for split, file in order]
    notes = list(_take_brush_masks([document for _, document, _ in read]))
    hidden = hidden_annotation_files(source, files) if source.is_dir() else []
    if hidden:
        notes.append(
            f"{listed(hidden)} have annotations too and are passed over, since "
            f"{listed([file.relative_to(source) for file in files])} is nearer: give the paths of "
            "all that are meant."
        )
    for split, document, films in read:
        _number_texts(document)
        said, lost = take_edited_maps(document, source)
        yield Export(document, films, split, lost, [*notes, *said])
        notes = []


def _take_brush_masks(documents: list[Entry]) -> Iterator[str]:
    """Takes the mark of a crowd from the classes of which every object has it, and says so."""
    flags: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    for document in documents:
        names = _category_names(document)
        for entry in _objects(document["annotations"]):
            name = names.get(whole_number(entry.get("category_id")))
            if name is not None:
                flags[name][as_flag(entry.get("iscrowd")) is True] += 1
    taken = {name for name, counts in flags.items() if not counts[False]}
    for document in documents:
        names = _category_names(document)
        for entry in _objects(document["annotations"]):
            if names.get(whole_number(entry.get("category_id"))) in taken:
                entry["iscrowd"] = 0
    for name in sorted(taken):
        yield (
            f"Every object of '{name}' ({flags[name][True]:,}) is marked as a crowd ('iscrowd'), "
            "as CVAT marks brush masks: each is taken for a single object."
        )
    for name in sorted(set(flags) - taken):
        if flags[name][True]:
            yield (
                f"Of the objects of '{name}' {flags[name][True]:,} are marked as crowds and "
                "dropped. If they are brush masks of single objects, set their 'iscrowd' to 0."
            )


def _category_names(document: Entry) -> dict[int | None, str]:
    return {
        whole_number(entry.get("id")): entry["name"]
        for entry in _objects(document["categories"])
        if is_text(entry.get("name"))
    }


def _number_texts(document: Entry) -> None:
    """Gives numbers to ids that are words, as VIA's may be, wherever they stand."""
    for entries, reference in (("images", "image_id"), ("categories", "category_id")):
        keys = [entry.get("id") for entry in _objects(document[entries])]
        words = [key for key in keys if is_text(key) and whole_number(key) is None]
        used = {whole_number(key) for key in keys}
        free = (number for number in range(1, 2 * len(keys) + 2) if number not in used)
        numbers = dict(zip(dict.fromkeys(words), free, strict=False))
        for key, entry in [
            *(("id", entry) for entry in _objects(document[entries])),
            *((reference, entry) for entry in _objects(document["annotations"])),
        ]:
            if is_text(entry.get(key)) and entry[key] in numbers:
                entry[key] = numbers[entry[key]]


def _objects(entries: list[Any]) -> Iterator[Entry]:
    return (entry for entry in entries if isinstance(entry, dict))
