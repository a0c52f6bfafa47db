"""Orientation tags, which viewers follow and training does not."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.data.coco import DatasetError, ImageRecord
from model.data.orientation import orientation
from model.data.radiograph import read_radiograph
from tests.support.films import png, png_chunk

FILM = np.arange(32 * 16, dtype=np.uint16).astype(np.uint8).reshape(32, 16)


def tags(turn: int, order: str = "<") -> bytes:
    """A TIFF of two tags, in either byte order."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = [(256, 3, 1, 9), (0x0112, 3, 1, turn)]
    packed = b"".join(struct.pack(f"{order}HHIHxx", *entry) for entry in entries)
    return mark + struct.pack(f"{order}IH", 8, len(entries)) + packed + bytes(4)


def jpeg(exif: bytes) -> bytes:
    stored = cv2.imencode(".jpg", FILM)[1].tobytes()
    body = b"Exif\0\0" + exif
    return stored[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + stored[2:]


def tagged_png(exif: bytes) -> bytes:
    plain = png(FILM)
    return plain[:33] + png_chunk(b"eXIf", exif) + plain[33:]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("write", [jpeg, tagged_png, bytes])
def test_the_tag_of_every_format(write: Callable[[bytes], bytes], order: str) -> None:
    assert [orientation(write(tags(turn, order))) for turn in (1, 3, 6, 8)] == [1, 3, 6, 8]


@pytest.mark.parametrize(
    "exif",
    [b"", b"II*\0", tags(6)[:20], tags(0), tags(9), b"II*\0\xff\xff\xff\xff", b"XX" + tags(6)],
)
def test_a_tag_that_nobody_can_read_turns_nothing(exif: bytes) -> None:
    assert orientation(jpeg(exif)) == 1


def test_files_without_a_tag() -> None:
    for content in (png(FILM), cv2.imencode(".jpg", FILM)[1].tobytes(), b"", b"Exif\0\0" + tags(6)):
        assert orientation(content) == 1


def test_annotations_of_the_film_as_it_is_shown_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "film.jpg"
    record = ImageRecord(5, path, 16, 32, "p", ())
    path.write_bytes(jpeg(tags(6)))
    with pytest.raises(DatasetError, match=r"for 16 x 32: film\.jpg has an EXIF orientation: "):
        read_radiograph(record)
    path.write_bytes(jpeg(tags(1)))
    with pytest.raises(DatasetError, match=r"for 16 x 32$"):
        read_radiograph(record)
