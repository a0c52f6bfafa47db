"""Ways to break a file, from blind ones to such as know the format and keep its checksums right."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable

import numpy as np
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from tests.support.films import png_chunk

Random = np.random.Generator
Mutation = Callable[[bytes, Random], bytes]

_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000,
             0xFFFFFFFE, 0xFFFFFFFF)  # fmt: skip
_TEXTS = (b"nan", b"inf", b"-1", b"0", b"1e400", b"\\", b"", b"1\\\\2", b"\xff\xfe", b"9" * 40)
_UID_BYTES = len(ExplicitVRLittleEndian.encode()) + 1


def flip_bits(data: bytes, random: Random) -> bytes:
    """Flips up to eight bits."""
    out = bytearray(data)
    for place in random.integers(len(data), size=random.integers(1, 9)):
        out[place] ^= 1 << int(random.integers(8))
    return bytes(out)


def overwrite(data: bytes, random: Random) -> bytes:
    """Overwrites a run of bytes with noise or with one byte."""
    start, end = _span(data, random, 64)
    noise = random.bytes(end - start) if random.random() < 0.5 else random.bytes(1) * (end - start)
    return data[:start] + noise + data[end:]


def truncate(data: bytes, random: Random) -> bytes:
    """Cuts the end off."""
    return data[: int(random.integers(len(data)))]


def rearrange(data: bytes, random: Random) -> bytes:
    """Removes a run of bytes, doubles it, or moves it elsewhere."""
    start, end = _span(data, random, 256)
    run, rest = data[start:end], data[:start] + data[end:]
    match random.integers(3):
        case 0:
            return rest
        case 1:
            return data[:end] + run * int(random.integers(1, 4)) + data[end:]
        case _:
            place = int(random.integers(len(rest) + 1))
            return rest[:place] + run + rest[place:]


def lie(data: bytes, random: Random) -> bytes:
    """Writes an extreme number over two or four bytes, in either order, mostly near the start."""
    window = min(len(data), 1024) if random.random() < 0.8 else len(data)
    place = int(random.integers(window))
    number = int(random.choice(_EXTREMES))
    wide, order = random.random() < 0.5, "<" if random.random() < 0.5 else ">"
    value = struct.pack(order + ("I" if wide else "H"), number & (0xFFFFFFFF if wide else 0xFFFF))
    return data[:place] + value + data[place + len(value) :]


def operate_on_element(data: bytes, random: Random) -> bytes:
    """Changes the value, the length or the VR of an element of the image's description."""
    group = b"\x00\x28" if b"1.2.840.10008.1.2.2" in data[:400] else b"\x28\x00"
    places = [match.start() for match in re.finditer(re.escape(group), data)]
    if not places:
        return lie(data, random)
    place = places[int(random.integers(len(places)))]
    match random.integers(4):
        case 0:  # VR
            new = random.choice([b"US", b"SS", b"SQ", b"UN", b"DS", b"OW", b"UT", b"FD", b"AT"])
            offset = 4
        case 1:  # length
            new, offset = struct.pack("<H", int(random.choice(_EXTREMES)) & 0xFFFF), 6
        case 2:  # value, as a number
            new, offset = struct.pack("<H", int(random.choice(_EXTREMES)) & 0xFFFF), 8
        case _:  # value, as text
            new, offset = _TEXTS[int(random.integers(len(_TEXTS)))], 8
    start = place + offset
    return data[:start] + bytes(new) + data[start + len(new) :]


def deflate(data: bytes, random: Random) -> bytes:
    """The same broken data set, or another one, deflated with an intact or a broken stream."""
    marker = ExplicitVRLittleEndian.encode() + b"\0"
    start = data.find(marker)
    if start < 0:
        return lie(data, random)
    body = operate_on_element(data[start + _UID_BYTES :], random)
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(body) + packer.flush()
    if random.random() < 0.3:
        packed = flip_bits(packed, random)
    new = DeflatedExplicitVRLittleEndian.encode()
    head = data[: start - 2] + struct.pack("<H", len(new)) + new
    return head + packed


def operate_on_chunks(data: bytes, random: Random) -> bytes:
    """Shuffles, doubles, drops or rewrites PNG chunks, with right lengths and checksums."""
    chunks = _chunks(data)
    which = int(random.integers(len(chunks)))
    match random.integers(5):
        case 0:
            random.shuffle(chunks)
        case 1:
            chunks.insert(int(random.integers(len(chunks) + 1)), chunks[which])
        case 2:
            del chunks[which]
        case 3:
            kind, body = chunks[which]
            chunks[which] = (kind, flip_bits(body, random) if body else b"\0")
        case _:
            kind, body = chunks[0]
            chunks[0] = (kind, lie(body, random)[: len(body)])
    return data[:8] + b"".join(png_chunk(kind, body) for kind, body in chunks)


def operate_on_segments(data: bytes, random: Random) -> bytes:
    """Changes the marker, the length or the contents of a JPEG segment."""
    places = [match.start() for match in re.finditer(rb"\xff[\xc0-\xfe]", data)]
    place = places[int(random.integers(len(places)))]
    match random.integers(4):
        case 0:
            return data[: place + 1] + bytes([random.integers(0xC0, 0xFF)]) + data[place + 2 :]
        case 1:
            return data[: place + 2] + random.bytes(2) + data[place + 4 :]
        case 2:
            value = struct.pack(">H", int(random.choice(_EXTREMES)) & 0xFFFF)
            at = place + int(random.integers(4, 20))
            return data[:at] + value + data[at + 2 :]
        case _:
            other = places[int(random.integers(len(places)))]
            return data[:place] + data[min(place, other) : max(place, other)] + data[place:]


def operate_on_entries(data: bytes, random: Random) -> bytes:
    """Changes the tag, the type, the count or the value of an entry of a TIFF's directory."""
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    entry = directory + 2 + 12 * int(random.integers(count))
    offset, form = ((0, "<H"), (2, "<H"), (4, "<I"), (8, "<I"), (8, "<H"))[int(random.integers(5))]
    most = 0xFFFF if form == "<H" else 0xFFFFFFFF
    value = struct.pack(form, int(random.choice(_EXTREMES)) & most)
    at = entry + offset
    return data[:at] + value + data[at + len(value) :]


_BLIND: tuple[Mutation, ...] = (flip_bits, overwrite, truncate, rearrange, lie)
_KNOWING: dict[str, tuple[Mutation, ...]] = {
    "dicom": (operate_on_element, operate_on_element, operate_on_element, deflate),
    "png": (operate_on_chunks, operate_on_chunks, operate_on_chunks),
    "jpeg": (operate_on_segments, operate_on_segments),
    "tiff": (operate_on_entries, operate_on_entries, operate_on_entries),
}


def mutate(name: str, data: bytes, random: Random) -> bytes:
    """Breaks a file once or twice.

    Args:
        name: of the corpus; its first word chooses the mutations that know the format.
        data: the valid file.
        random: decides everything.
    """
    first = _KNOWING[name.split()[0]] + _BLIND
    data = first[int(random.integers(len(first)))](data, random)
    if data and random.random() < 0.3:
        data = _BLIND[int(random.integers(len(_BLIND)))](data, random)
    return data


def _span(data: bytes, random: Random, longest: int) -> tuple[int, int]:
    start = int(random.integers(len(data)))
    return start, min(len(data), start + int(random.integers(1, longest + 1)))


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, offset = [], 8
    while offset < len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        chunks.append((kind, data[offset + 8 : offset + 8 + length]))
        offset += 12 + length
    return chunks
