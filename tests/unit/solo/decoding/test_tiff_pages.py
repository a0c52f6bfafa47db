"""Pages of a TIFF as frames, and directories that lead astray."""

from __future__ import annotations

import io
import logging
import struct
import time
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from model.data.coco import DatasetError, ImageRecord
from model.data.radiograph import read_radiograph
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.errors import InvalidParameterError, MalformedError, SoloError, TruncatedError
from tests.support.films import chest
from tests.support.tiff import LONG, SHORT, by_hand

LIMITS = Limits(max_pixels=100_000)
GREY = (chest() // 16).astype(np.uint8)
PAGES: list[npt.NDArray[Any]] = [GREY, GREY[:50, ::-1], chest(40, 90), np.dstack([GREY] * 3)]
THUMBNAIL, PAGE, MASK = 1, 2, 4
PATIENT = "Doe^Jane"


def stack(pages: list[tuple[npt.NDArray[Any], int]], **form: Any) -> bytes:
    """A file of tifffile with these pages and their NewSubfileType."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, **form) as writer:
        for page, kind in pages:
            writer.write(page, subfiletype=kind, metadata=None, description=PATIENT)
    return file.getvalue()


def test_a_page_that_the_older_tag_calls_reduced_is_no_frame() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(GREY[::8, ::8], extratags=[(255, SHORT, 1, 2, True)], metadata=None)
        writer.write(GREY, extratags=[(255, SHORT, 1, 3, True)], metadata=None)
    found = decode(file.getvalue(), LIMITS)
    assert np.array_equal(found.pixels, GREY)
    assert found.info.frames == 1


@pytest.mark.parametrize(
    "form",
    [{}, {"byteorder": ">"}, {"bigtiff": True}, {"bigtiff": True, "byteorder": ">"}],
    ids=str,
)
def test_each_page_is_a_frame_in_its_own_size(form: dict[str, Any]) -> None:
    data = stack([(page, PAGE) for page in PAGES], **form)
    for number, page in enumerate(PAGES):
        found = decode(data, LIMITS, number)
        assert np.array_equal(found.pixels, decode(by_hand(page), LIMITS).pixels)
        assert (found.info.height, found.info.width) == page.shape[:2]
        assert (found.info.frame, found.info.frames) == (number, len(PAGES))
    for number in (-1, len(PAGES)):
        with pytest.raises(InvalidParameterError, match=f"frame is {number}, but the file has 4"):
            decode(data, LIMITS, number)


def test_opencvs_pages_are_frames() -> None:
    data = cv2.imencodemulti(".tiff", [GREY, GREY[::-1]])[1].tobytes()
    assert np.array_equal(decode(data, LIMITS, 1).pixels, GREY[::-1])
    assert decode(data, LIMITS).info.frames == 2


def test_thumbnails_and_masks_are_no_frames() -> None:
    data = stack(
        [(GREY[::4, ::4], THUMBNAIL), (GREY, 0), (GREY > 99, MASK), (GREY[::-1], PAGE),
         (GREY[::2], THUMBNAIL | PAGE)]
    )  # fmt: skip
    assert np.array_equal(decode(data, LIMITS).pixels, GREY)
    assert np.array_equal(decode(data, LIMITS, 1).pixels, GREY[::-1])
    assert decode(data, LIMITS).info.frames == 2


def test_a_pyramid_in_sub_directories_and_imagejs_metadata_change_nothing() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(GREY, subifds=1, metadata=None)
        writer.write(GREY[::2, ::2], subfiletype=THUMBNAIL, metadata=None)
        writer.write(GREY[::-1], metadata=None)
    assert decode(file.getvalue(), LIMITS).info.frames == 2
    assert np.array_equal(decode(file.getvalue(), LIMITS, 1).pixels, GREY[::-1])
    for imagej in (True, False):
        file = io.BytesIO()
        both = np.stack([GREY, GREY[::-1]])
        tifffile.imwrite(file, both, photometric="minisblack", imagej=imagej, ome=not imagej)
        assert np.array_equal(decode(file.getvalue(), LIMITS, 1).pixels, GREY[::-1])


def test_a_stack_that_was_cut_is_refused_as_a_whole() -> None:
    data = stack([(page, 0) for page in PAGES])
    for length in range(8, len(data) - 20, len(data) // 60):
        with pytest.raises(MalformedError):
            decode(data[:length], LIMITS, len(PAGES) - 1)
    second = tifffile.TiffFile(io.BytesIO(data)).pages[1].offset
    with pytest.raises(TruncatedError, match="within its directory"):
        decode(data[:second], LIMITS)


def test_a_last_directory_may_lack_its_end() -> None:
    data = by_hand(GREY)
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    end = directory + 2 + 12 * count
    moved = data[:4] + struct.pack("<I", len(data)) + data[8:] + data[directory:end]
    assert np.array_equal(decode(moved, LIMITS).pixels, GREY)


def entry(tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, count, value)


def directory(entries: list[bytes], following: int = 0) -> bytes:
    return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)


@cache
def hostile() -> dict[str, bytes]:
    head = b"II*\0\x08\0\0\0"
    one = [entry(256, SHORT, 1, 9), entry(257, SHORT, 1, 9)]
    step = len(directory(one))
    chain = [directory(one, 8 + step * (number + 1)) for number in range(40_000)]
    again = [entry(273, LONG, 900_000, 60_000)] * 4000
    return {
        "leads into itself": head + directory(one, 8),
        "leads back": head + directory(one, 8 + step) + directory(one, 8),
        "has 40,000 pages": head + b"".join(chain),
        "has a million empty pages": head
        + b"".join(struct.pack("<HI", 0, 14 + 6 * number) for number in range(1_000_000)),
        "names a tag 4,000 times": head + directory([*one, *again]) + bytes(4_000_000),
        "has 65,535 tags": head + directory([entry(270, 2, 2**32 - 1, 8)] * 65_535),
        "begins nowhere": b"II*\0\xff\xff\xff\xff" + directory(one),
        "begins with itself": b"II*\0\0\0\0\0" + bytes(100_000),
        "has 2^64 tags": b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**64 - 1) + bytes(64),
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_directories_are_refused_at_once(name: str) -> None:
    data, started = hostile()[name], time.process_time()
    with pytest.raises(MalformedError):
        decode(data, LIMITS)
    assert time.process_time() - started < 2  # a hundredth of it is typical


def test_nothing_of_a_file_is_said(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    film = bytes(imagecodecs.tiff_encode(GREY, compression="lzw", description=PATIENT))
    data = stack([(page, 0) for page in PAGES])
    generator = np.random.default_rng(0)
    refusals = []
    for number in range(300):
        broken = bytearray(film if number % 4 == 0 else data)
        for place in generator.integers(4, len(broken), number % 3 * 40):
            broken[place] ^= int(generator.integers(256))
        try:
            decode(bytes(broken), LIMITS, number % 4)
        except SoloError as error:
            refusals.append(error.detail)
    assert refusals
    assert not any(part in " ".join(refusals) for part in PATIENT.split("^"))
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_training_reads_the_page_that_a_record_names(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    path.write_bytes(stack([(page, 0) for page in PAGES]))
    record = ImageRecord(5, path, 50, 60, "p", (), frame=1)
    assert np.array_equal(read_radiograph(record), PAGES[1])
    with pytest.raises(DatasetError, match="frame is 9"):
        read_radiograph(ImageRecord(5, path, 70, 60, "p", (), frame=9))
