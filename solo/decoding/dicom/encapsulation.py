"""Encapsulated pixel data: basic offset table, fragments and frames (PS3.5 A.4).

The items are walked here rather than by pydicom, which looks for the delimiter's bytes wherever
they may occur and joins what a wrong offset table says.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from solo.errors import MalformedError, TruncatedError

_ITEM: Final = b"\xfe\xff\x00\xe0"
_DELIMITER: Final = b"\xfe\xff\xdd\xe0"
_ITEM_HEADER_BYTES: Final = 8
MAX_ITEMS: Final = 20_000


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


def read_items(data: memoryview, start: int) -> tuple[Encapsulated, int]:
    """Reads the items up to the sequence delimiter.

    Args:
        data: the data set.
        start: where the pixel data element's value begins.

    Returns:
        The items, and where the element ends.

    Raises:
        TruncatedError: if the data end before the delimiter.
        MalformedError: if something else stands where an item should.
    """
    offset = start
    items: list[memoryview] = []
    while len(items) <= MAX_ITEMS:
        if offset + _ITEM_HEADER_BYTES > len(data):
            raise TruncatedError("the encapsulated pixel data have no end: part is missing")
        tag = bytes(data[offset : offset + 4])
        (length,) = struct.unpack_from("<I", data, offset + 4)
        offset += _ITEM_HEADER_BYTES
        if tag == _DELIMITER:
            break
        if tag != _ITEM:
            raise MalformedError("the encapsulated pixel data are damaged: an item is missing")
        if offset + length > len(data):
            raise TruncatedError("the encapsulated pixel data end within an item")
        items.append(data[offset : offset + length])
        offset += length
    else:
        raise MalformedError(f"the pixel data have more than {MAX_ITEMS:,} fragments")
    if not items:
        raise MalformedError("the encapsulated pixel data have no offset table")
    table, *fragments = items
    if len(table) % 4:
        raise MalformedError(f"the basic offset table has {len(table)} bytes, not words of 4")
    return Encapsulated(struct.unpack(f"<{len(table) // 4}I", table), tuple(fragments)), offset


def frame_bytes(
    encapsulated: Encapsulated,
    frames: int,
    frame: int,
    extended_offsets: Sequence[int],
    begins_codestream: Callable[[memoryview], bool] | None,
) -> bytes:
    """Joins the fragments of one frame.

    Where there is one fragment a frame, no table is asked: writers get them wrong. Otherwise the
    extended offset table (PS3.3 C.7.6.3.1.8) counts, then the basic one, and then where
    codestreams begin.

    Args:
        encapsulated: the items.
        frames: how many there are by the header.
        frame: which one, from 0.
        extended_offsets: of (7FE0,0001); empty where absent.
        begins_codestream: whether a fragment is the first of a frame; None where it cannot be told.

    Raises:
        MalformedError: if the fragments cannot be told apart.
    """
    fragments = encapsulated.fragments
    if len(fragments) < frames:
        raise MalformedError(
            f"the pixel data have {len(fragments)} fragments, but {frames} frames need at least "
            "one each"
        )
    if frames == 1:
        return b"".join(fragments)
    if len(fragments) == frames:
        return bytes(fragments[frame])
    offsets = extended_offsets or encapsulated.offset_table
    if offsets:
        firsts = _fragments_at(offsets, fragments)
    elif begins_codestream is not None:
        firsts = [index for index, one in enumerate(fragments) if begins_codestream(one)]
    else:
        firsts = []
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
