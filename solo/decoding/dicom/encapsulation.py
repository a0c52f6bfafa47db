"""Encapsulated pixel data: basic offset table, fragments and frames (PS3.5 A.4).

The items are walked here rather than by pydicom, which looks for the delimiter's bytes wherever
they may occur and joins what a wrong offset table says.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from solo.decoding.codecs.rle import begins_segments
from solo.decoding.dicom.codings import signature_of
from solo.errors import MalformedError, TruncatedError

_ITEM: Final = b"\xfe\xff\x00\xe0"
_DELIMITER: Final = b"\xfe\xff\xdd\xe0"
_ITEM_HEADER_BYTES: Final = 8
MAX_ITEMS: Final = 200_000


@dataclass(frozen=True)
class Encapsulated:
    """Basic offset table and fragments of an encapsulated pixel data element.

    Attributes:
        offset_table: the basic one, in the first item: each frame's distance from the second; may
            be empty.
        fragments: the other items' values.
    """

    offset_table: tuple[int, ...]
    fragments: tuple[memoryview, ...]


def has_items(value: memoryview) -> bool:
    """Whether a value of defined length consists of items: it begins with one that fits."""
    length = int.from_bytes(value[4:_ITEM_HEADER_BYTES], "little")
    return bytes(value[:4]) == _ITEM and _ITEM_HEADER_BYTES + length <= len(value)


def read_items(data: memoryview, start: int) -> tuple[Encapsulated, int]:
    """Reads the items up to the sequence delimiter, or to what stands in its place.

    A missing or damaged delimiter says nothing about the items before it: they are whole by their
    length, and what is in them has to have an end of its own.

    Args:
        data: the data set, or the value.
        start: where the pixel data element's value begins.

    Returns:
        The items, and where they end.

    Raises:
        TruncatedError: if the data end within an item, or there is none.
        MalformedError: for more items than are read.
    """
    offset = start
    items: list[memoryview] = []
    while bytes(data[offset : offset + 4]) == _ITEM:
        if len(items) > MAX_ITEMS:
            raise MalformedError(f"the pixel data have more than {MAX_ITEMS:,} fragments")
        length = int.from_bytes(data[offset + 4 : offset + _ITEM_HEADER_BYTES], "little")
        offset += _ITEM_HEADER_BYTES
        if offset + length > len(data) + 1:  # the last may lack its padding
            raise TruncatedError("the encapsulated pixel data end within an item")
        items.append(data[offset : offset + length])
        offset += length
    if bytes(data[offset : offset + 4]) == _DELIMITER:
        offset = min(offset + _ITEM_HEADER_BYTES, len(data))
    if not any(items):
        raise TruncatedError("the encapsulated pixel data have no fragments")
    table = b""
    if len(items) > 1 and not (signature_of(items[0]) or begins_segments(items[0])):
        table = bytes(items.pop(0))
    offsets = struct.unpack(f"<{len(table) // 4}I", table) if len(table) % 4 == 0 else ()
    return Encapsulated(offsets, tuple(items)), offset


def frame_bytes(
    fragments: Sequence[memoryview], frames: int, frame: int, offsets: Sequence[int]
) -> bytes:
    """Joins the fragments of one frame.

    Where there is one fragment a frame and a codestream begins in each or none, or as often as
    there are frames, no table is asked: writers get them wrong.

    Args:
        fragments: of all frames.
        frames: how many there are by the header.
        frame: which one, from 0.
        offsets: of the frames by the extended offset table (PS3.3 C.7.6.3.1.8), or else the basic
            one; may be empty.

    Raises:
        MalformedError: if the fragments cannot be told apart.
    """
    if len(fragments) < frames:
        raise MalformedError(
            f"the pixel data have {len(fragments)} fragments, but {frames} frames need at least "
            "one each"
        )
    if frames == 1:
        return b"".join(fragments)
    signatures = [signature_of(one) for one in fragments]
    if len(fragments) == frames and (None not in signatures or not any(signatures)):
        return bytes(fragments[frame])
    firsts = [index for index, one in enumerate(signatures) if one == signatures[0]]
    if signatures[0] is None or len(firsts) != frames:
        firsts = _fragments_at(offsets, fragments)
    if len(firsts) != frames or firsts[0] != 0:
        raise MalformedError(
            f"the {len(fragments)} fragments of the pixel data cannot be told apart into "
            f"{frames} frames"
        )
    first, end = list(pairwise([*firsts, len(fragments)]))[frame]
    return b"".join(fragments[first:end])


def _fragments_at(offsets: Sequence[int], fragments: Sequence[memoryview]) -> list[int]:
    """Indices of the fragments whose items begin at the offsets, which must ascend."""
    index_at, position = {}, 0
    for index, fragment in enumerate(fragments):
        index_at[position] = index
        position += _ITEM_HEADER_BYTES + len(fragment)
    found = [index_at.get(offset, -1) for offset in offsets]
    if any(later <= earlier for earlier, later in pairwise([-1, *found])):
        raise MalformedError("the offset table does not point to the fragments in order")
    return found
