"""Image file directories of a TIFF (TIFF 6.0, section 2) or BigTIFF: the tags of its pages.

Only what is asked for is unpacked: a directory may name thousands of tags of a gigabyte each, and a
chain of directories may lead back into itself.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from solo.errors import MalformedError, TruncatedError

TIFF_SIGNATURES: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_FORMATS: Final = {1: "B", 3: "H", 4: "I", 7: "B", 16: "Q"}  # BYTE, SHORT, LONG, UNDEFINED, LONG8
_MAX_TAGS: Final = 100_000  # of all pages, each of which counts as one more
_MAX_VALUES: Final = 100_000  # of one tag; a film has as many strips as rows at most


@dataclass(frozen=True)
class Directory:
    """An image file directory.

    Attributes:
        data: the whole file.
        order: byte order of its numbers, `<` or `>`.
        word: struct format of its counts and offsets: `Q` in a BigTIFF, else `I`.
        entries: (type, number of values, place of the values or of their offset) of each tag.
    """

    data: bytes
    order: str
    word: str
    entries: dict[int, tuple[int, int, int]]

    def values(self, tag: int) -> tuple[int, ...]:
        """The integers of a tag; empty where it is absent.

        Raises:
            MalformedError: if they are no integers, none or too many.
            TruncatedError: if the file ends before them.
        """
        if tag not in self.entries:
            return ()
        kind, count, place = self.entries[tag]
        if kind not in _FORMATS:
            raise MalformedError(f"tag {tag} of the TIFF is not an integer")
        if not 0 < count <= _MAX_VALUES:
            raise MalformedError(f"tag {tag} of the TIFF has {count:,} values")
        layout = f"{self.order}{count}{_FORMATS[kind]}"
        size, room = struct.calcsize(layout), struct.calcsize(self.order + self.word)
        if size > room:
            (place,) = struct.unpack_from(self.order + self.word, self.data, place)
        stored = self.data[place : place + size]
        if len(stored) < size:
            raise TruncatedError("the TIFF ends within its directory")
        return struct.unpack(layout, stored)

    def value(self, tag: int, default: int | None = None) -> int:
        """The first integer of a tag, or the default where it is absent.

        Raises:
            MalformedError: if it is absent and has no default, or as `values` says.
        """
        for value in self.values(tag):
            return value
        if default is None:
            raise MalformedError(f"the TIFF lacks tag {tag}")
        return default


def read_directories(data: bytes) -> list[Directory]:
    """Follows the chain of directories to its end; sub-directories are not in it.

    Raises:
        MalformedError: for a chain without an end, or of too many tags.
        TruncatedError: if the file ends within it.
    """
    order = "<" if data.startswith(b"II") else ">"
    word, number = ("Q", "Q") if b"+" in data[2:4] else ("I", "H")
    pointer, counter, entry = (struct.Struct(order + form) for form in (word, number, f"HH{word}"))
    found: dict[int, Directory] = {}  # by offset
    offset, left = _number(data, pointer.size, pointer.size, order), _MAX_TAGS
    while offset or not found:
        first = offset + counter.size
        count = _number(data, offset, counter.size, order)
        left -= count + 1
        end = first + count * (entry.size + pointer.size)
        if offset in found or left < 0:
            raise MalformedError("the TIFF's pages have too many tags, or no end")
        if end > len(data):
            raise TruncatedError("the TIFF ends within its directory")
        entries: dict[int, tuple[int, int, int]] = {}
        for place in range(first, end, entry.size + pointer.size):
            tag, kind, values = entry.unpack_from(data, place)
            entries.setdefault(tag, (kind, values, place + entry.size))
        found[offset] = Directory(data, order, word, entries)
        offset = _number(data, end, pointer.size, order)
    return list(found.values())


def _number(data: bytes, place: int, size: int, order: str) -> int:
    """The integer at a place, 0 beyond the file's end."""
    return int.from_bytes(data[place : place + size], "little" if order == "<" else "big")
