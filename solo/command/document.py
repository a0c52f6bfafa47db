"""The COCO document of a run, written from its journal entry by entry."""

from __future__ import annotations

import json
import os
from itertools import count
from pathlib import Path
from typing import Final

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
    frames = list(enumerate(journal.current(), 1))
    numbers = count(1)
    images = (journal.read(*frame)[0] | {"id": image_id} for image_id, frame in frames)
    annotations = (
        annotation | {"id": next(numbers), "image_id": image_id}
        for image_id, frame in frames
        for annotation in journal.read(*frame)[1]
    )
    part = folder / f"{DOCUMENT_NAME}.part"
    with part.open("w", encoding="ascii") as file:
        file.write(f'{{"info": {json.dumps(info)},\n"categories": {json.dumps(categories)}')
        for name, entries in (("images", images), ("annotations", annotations)):
            file.write(f',\n"{name}": [')
            for index, entry in enumerate(entries):
                file.write(f"{',' if index else ''}\n{json.dumps(entry)}")
            file.write("\n]")
        file.write("}\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / DOCUMENT_NAME)
