"""Marker segments of JPEG, JPEG-LS and JPEG 2000, each cut short with a length that says so."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from pydicom.uid import UID

from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.errors import SoloError
from tests.support.encapsulated import EXACT, LOSSY, encapsulated_file
from tests.support.films import chest

CODECS = {**EXACT, **LOSSY}
FILM = (chest() // 16).astype(np.uint8)
LAST = (0x93, 0xDA)  # behind them are no segments


def cut_short(frame: bytes) -> Iterator[bytes]:
    """The frame with one segment shorter, or doubled by a shorter one, for each way to do so."""
    start = 2
    while frame[start] == 0xFF and frame[start + 1] not in LAST:
        (length,) = struct.unpack_from(">H", frame, start + 2)
        end = start + 2 + length
        for kept in range(min(length - 2, 24)):
            short = struct.pack(">H", kept + 2) + frame[start + 4 : start + 4 + kept]
            yield frame[: start + 2] + short + frame[end:]
            yield frame[:end] + frame[start : start + 2] + short + frame[end:]
        start = end


@pytest.mark.parametrize("syntax", CODECS)
def test_a_marker_segment_that_is_cut_short_is_an_error_of_ours_at_most(syntax: UID) -> None:
    frame = bytes(CODECS[syntax](FILM))
    for damaged in cut_short(frame) if frame[:1] == b"\xff" and frame[1] in (0xD8, 0x4F) else ():
        with suppress(SoloError):
            decode(encapsulated_file([damaged], syntax, FILM), Limits(10_000))
