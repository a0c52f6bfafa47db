"""Small files that ask for much: memory, time or depth.

They are refused, but for those in `HARMLESS`, where what asks for much is never looked at.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, Final

import imagecodecs
import numpy as np
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from solo.decoding.dicom.transfer_syntaxes import JPEGXLLossless
from tests.support.dicom import deflate_bomb, dicom_file
from tests.support.encapsulated import BASELINE, EXACT, encapsulated_file
from tests.support.films import chest, jpeg, png, png_chunk, png_header_only

_FILM: Final = chest()
_GREY: Final = (_FILM // 16).astype(np.uint8)
_TWELVE: Final[dict[str, Any]] = {"BitsStored": 12, "HighBit": 11}
_PIXEL_DATA: Final = b"\xe0\x7f\x10\x00"
_SEQUENCE: Final = struct.pack("<HH2sHI", 0x0009, 0x1002, b"SQ", 0, 0xFFFFFFFF)
_ITEM: Final = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
_LENGTHS: Final = "2,000,000 items of known length"
_ZEROS: Final = "zeros after the pixels"
_ALPHABETS: Final = "a million alphabets"
_CENTRES: Final = "a million window centres"
_COMMENTS: Final = "JPEG file of 2,000,000 comments behind its scan"
_SPACINGS: Final = "a million spacings"
_ENTRIES: Final = "250,000 elements in a VOI LUT"
_DECLARED: Final = "lossless JPEG declared as JPEG-LS"
HARMLESS: Final = frozenset(
    {_LENGTHS, _ZEROS, _ALPHABETS, _CENTRES, _COMMENTS, _SPACINGS, _ENTRIES, _DECLARED}
)


def bombs(megabytes: int = 3000) -> dict[str, bytes]:
    """All of them by name.

    Args:
        megabytes: what the deflate bomb and the text in a PNG grow to.
    """
    return {
        **{f"{megabytes} MB deflated": deflate_bomb(megabytes * 2**20)},
        **_codestreams(),
        **_headers(),
        **_structures(),
        **_rasters(megabytes),
    }


def _codestreams() -> dict[str, bytes]:
    """Frames that promise gigapixels, or more than the DICOM header does."""
    side, tile = b"\xff\xdc\xff\xdc", struct.pack(">6I", 60000, 60000, 0, 0, 60000, 60000)
    patches: dict[str, tuple[UID, bytes, int, bytes]] = {
        "JPEG of 65500 x 65500": (JPEGBaseline8Bit, b"\xff\xc0", 5, side),
        "lossless JPEG of 65500 x 65500": (JPEGLosslessSV1, b"\xff\xc3", 5, side),
        "JPEG-LS of 65500 x 65500": (JPEGLSLossless, b"\xff\xf7", 5, side),
        "JPEG 2000 of 60000 x 60000": (JPEG2000Lossless, b"\xff\x51", 6, tile),
        "HTJ2K of 60000 x 60000": (HTJ2KLossless, b"\xff\x51", 6, tile),
        "JPEG XL of gigapixels": (JPEGXLLossless, b"\xff\x0a", 2, b"\xfe" + b"\xff" * 5),
    }
    files = {
        name: _frame(syntax, _patched(_encoded(syntax), marker, offset, value))
        for name, (syntax, marker, offset, value) in patches.items()
    }
    for fine in ("COD", "tile", "COC", "layers"):
        files[f"JPEG 2000 of fine precincts ({fine})"] = _frame(
            JPEG2000Lossless, jpeg_2000(2000, 2000, fine), Rows=2000, Columns=2000
        )
    for syntax in (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless):
        files[f"a header smaller than its {syntax.name.split(' (')[0]}"] = _frame(
            syntax, _encoded(syntax), Rows=35, Columns=30
        )
    files[_DECLARED] = _frame(JPEGLSLossless, _encoded(JPEGLosslessSV1))
    return files


def jpeg_2000(height: int, width: int, fine: str) -> bytes:
    """A JPEG 2000 codestream of 12 bits whose precincts are of 2 x 2.

    Args:
        height: rows.
        width: columns.
        fine: where it is said: "COD", "COC", "tile" or "tile's COC"; "layers": 65,535 of 16 x 16.
    """

    def style(size: int, layers: int, start: bytes) -> bytes:
        return start + struct.pack(">HB", layers, 0) + _style(size)

    def segment(marker: int, contents: bytes) -> bytes:
        return struct.pack(">HH", marker, len(contents) + 2) + contents

    size = struct.pack(">2x8IHBBB", width, height, 0, 0, width, height, 0, 0, 1, 11, 1, 1)
    sizes = {"COD": (0x11, 1), "layers": (0x44, 65_535)}
    default = segment(0xFF52, style(*sizes.get(fine, (0xFF, 1)), b"\1\0"))
    other = segment(0xFF52, style(0x11, 1, b"\1\0"))
    if "COC" in fine:
        other = segment(0xFF53, b"\0\1" + _style(0x11))
    steps = segment(0xFF5C, b"\x40" + b"\x50" * 7)
    main = b"\xff\x4f" + segment(0xFF51, size) + default + steps + other * (fine == "COC")
    part = other * fine.startswith("tile") + b"\xff\x93" + bytes(64)
    return main + struct.pack(">HHHIBB", 0xFF90, 10, 0, 12 + len(part), 0, 1) + part + b"\xff\xd9"


def _style(precinct: int) -> bytes:
    """Two levels, code blocks of 64 x 64, 5-3 reversible, and precincts of a size."""
    return bytes([2, 4, 4, 0, 1, *[precinct] * 3])


def _headers() -> dict[str, bytes]:
    run_lengths = dicom_file(_FILM, syntax=RLELossless)
    rows = run_lengths.index(b"\x28\x00\x10\x00US") + 8
    columns = run_lengths.index(b"\x28\x00\x11\x00US") + 8
    huge = bytearray(run_lengths)
    huge[rows : rows + 2] = huge[columns : columns + 2] = b"\xff\xff"
    small = bytearray(run_lengths)
    small[rows : rows + 2] = struct.pack("<H", 35)
    return {
        "65535 x 65535 in runs": bytes(huge),
        "a header smaller than its runs": bytes(small),
        "65535 x 65535 native": dicom_file(_FILM, Rows=65535, Columns=65535),
        "a million frames": _frame(
            JPEGLosslessSV1, _encoded(JPEGLosslessSV1), NumberOfFrames=1_000_000
        ),
        "no pixel data": dicom_file(_FILM, without=("PixelData",)),
    }


def _structures() -> dict[str, bytes]:
    """Elements, items, depths and fragments without end."""
    distinct = b"".join(
        struct.pack("<HH2sHI", 0x0012 + 2 * (number >> 16), number & 0xFFFF, b"UN", 0, 0)
        for number in range(250_000)
    )
    zeros = bytes(16_000) + bytes(10_000_000) + b"\1"
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 2_000_000
    elements = struct.pack("<HH2sH", 0x0011, 0x1000, b"LO", 0) * 250_000
    large_item = struct.pack("<HHI", 0xFFFE, 0xE000, len(elements)) + elements
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    frame = _frame(JPEGLosslessSV1, _encoded(JPEGLosslessSV1))
    first = frame.index(_PIXEL_DATA) + 12
    return {
        "3,000 nested sequences": _inserted((_SEQUENCE + _ITEM) * 3_000),
        "200,000 nested sequences": _inserted((_SEQUENCE + _ITEM) * 200_000),
        "250,000 elements": _inserted(distinct),
        "10 MB of empty elements": _inserted(zeros),
        "2,000,000 empty items": _inserted(_SEQUENCE + items + end),
        _LENGTHS: _inserted(_sequence(0x0009, 0x1002, items)),
        _ENTRIES: _inserted(_sequence(0x0028, 0x3010, large_item)),
        "2,000,000 fragments": frame[:first] + items + end,
        _CENTRES: _implicit(0x0028, 0x1050, b"1\\" * 1_000_000),
        _SPACINGS: _implicit(0x0028, 0x0030, b"1\\" * 1_000_000),
        _ALPHABETS: _implicit(0x0008, 0x0005, b"Q\\" * 1_000_000),
        _ZEROS: dicom_file(_FILM) + bytes(30_000_000),
    }


def _sequence(group: int, element: int, items: bytes) -> bytes:
    return struct.pack("<HH2sHI", group, element, b"SQ", 0, len(items)) + items


def _implicit(group: int, element: int, value: bytes) -> bytes:
    header = struct.pack("<HHI", group, element, len(value))
    return _inserted(header + value, ImplicitVRLittleEndian)


def _inserted(elements: bytes, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    plain = dicom_file(_FILM, syntax=syntax)
    at = plain.index(_PIXEL_DATA)
    return plain[:at] + elements + plain[at:]


def _rasters(megabytes: int) -> dict[str, bytes]:
    grey = png(_GREY)
    packer = zlib.compressobj(9)
    text = b"note\0\0" + b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes))
    text += packer.flush()
    tiff = bytearray(imagecodecs.tiff_encode(_GREY))
    (directory,) = struct.unpack_from("<I", tiff, 4)
    for entry in range(directory + 2, len(tiff) - 12, 12):
        if struct.unpack_from("<H", tiff, entry)[0] in (256, 257):
            struct.pack_into("<HII", tiff, entry + 2, 4, 1, 60_000)
    return {
        "PNG of 30000 x 30000": png_header_only(30_000, 30_000),
        "PNG of 40000 x 40000": png_header_only(40_000, 40_000),
        f"PNG cut, with {megabytes} MB of text": grey[:33]
        + png_chunk(b"zTXt", text)
        + grey[33:-16],
        f"PNG with {megabytes} MB behind its rows": grey[:33]
        + png_chunk(b"IDAT", text[6:])
        + grey[-12:],
        "JPEG file of 65500 x 65500": _patched(jpeg(_GREY), b"\xff\xc0", 5, b"\xff\xdc\xff\xdc"),
        "JPEG file of 100,000 comments": b"\xff\xd8" + b"\xff\xfe\0\2" * 100_000 + jpeg(_GREY)[2:],
        _COMMENTS: jpeg(_GREY)[:-2] + b"\xff\xfe\0\2" * 2_000_000 + b"\xff\xd9",
        "TIFF of 60000 x 60000": bytes(tiff),
    }


def _encoded(syntax: UID) -> bytes:
    if syntax in BASELINE:
        return bytes(BASELINE[syntax](_GREY))
    return bytes(EXACT[syntax](_FILM))


def _frame(syntax: UID, frame: bytes, **elements: Any) -> bytes:
    if syntax in BASELINE:
        return encapsulated_file([frame], syntax, _GREY, **elements)
    return encapsulated_file([frame], syntax, _FILM, **{**_TWELVE, **elements})


def _patched(frame: bytes, marker: bytes, offset: int, value: bytes) -> bytes:
    start = frame.index(marker) + offset
    return frame[:start] + value + frame[start + len(value) :]
