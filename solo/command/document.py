"""The COCO document of a run, written from its journal entry by entry."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

from solo.command.journal import Journal
from solo.formats.coco import CocoEntry

DOCUMENT_NAME: Final = "annotations.json"


def write_document(
    folder: Path, info: CocoEntry, categories: list[CocoEntry], journal: Journal
) -> None:
    """Writes `annotations.json`; whoever reads it meanwhile has the old one or the new one.

    Images and annotations are numbered from 1 in the order of the films' names, so that the
    document depends on the films alone and not on the runs that it took.

    Args:
        folder: for the document.
        info: the document's `info`.
        categories: the document's `categories`.
        journal: of the run.

    Raises:
        OSError: if it cannot be written.
    """
    frames = journal.current()
    part = folder / f"{DOCUMENT_NAME}.part"
    with part.open("w", encoding="ascii") as file:
        file.write(f'{{"info": {json.dumps(info)},\n"categories": {json.dumps(categories)},\n')
        _write_list(file, "images", _images(journal, frames))
        file.write(",\n")
        _write_list(file, "annotations", _annotations(journal, frames))
        file.write("}\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / DOCUMENT_NAME)


def _write_list(file: TextIO, name: str, entries: Iterator[dict[str, Any]]) -> None:
    file.write(f'"{name}": [')
    for index, entry in enumerate(entries):
        file.write(f"{',' if index else ''}\n{json.dumps(entry)}")
    file.write("\n]")


def _images(journal: Journal, frames: list[tuple[str, int]]) -> Iterator[CocoEntry]:
    for image_id, frame in enumerate(frames, 1):
        yield journal.read(*frame)[0] | {"id": image_id}


def _annotations(journal: Journal, frames: list[tuple[str, int]]) -> Iterator[CocoEntry]:
    annotation_id = 0
    for image_id, frame in enumerate(frames, 1):
        for annotation in journal.read(*frame)[1]:
            annotation_id += 1
            yield annotation | {"id": annotation_id, "image_id": image_id}
