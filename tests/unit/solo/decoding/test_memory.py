from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from solo.decoding.codecs.memory import shortage_of_memory
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.errors import MalformedError
from solo.sandbox.process import _TUNING
from tests.support import films

ROOT = Path(__file__).parents[4]


def fail_to_allocate() -> None:
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    assert malloc(ctypes.c_size_t(2**62)) is None


def test_a_lack_of_memory_is_told_from_damage() -> None:
    no_memory, damaged = cv2.error(), cv2.error()
    no_memory.code, damaged.code = cv2.Error.StsNoMem, cv2.Error.StsParseError
    with pytest.raises(MemoryError), shortage_of_memory():
        raise no_memory
    for error in (damaged, RuntimeError("premature end of codestream")):
        with pytest.raises(type(error)), shortage_of_memory():
            raise error


def test_an_allocation_that_failed_is_seen_whatever_the_library_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film, limits = films.jpeg(films.flat(77)), Limits(max_pixels=100_000)

    def decode_jpeg(*_: object, **_options: object) -> None:
        fail_to_allocate()
        raise ValueError("the image is damaged")

    with monkeypatch.context() as patch:
        patch.setattr("simplejpeg.decode_jpeg", decode_jpeg)
        with pytest.raises(MemoryError):
            decode(film, limits)
    with pytest.raises(MalformedError):  # another film's is forgotten
        decode(film[:-40], limits)
    fail_to_allocate()
    with pytest.raises(MalformedError):
        decode(film[:-40], limits)


def test_whatever_memory_a_film_lacks_is_called_by_its_name() -> None:
    command = [sys.executable, "-m", "tests.support.short_of_memory"]
    environment = {**os.environ, **_TUNING}  # else threads' heaps are room beyond the limit
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    outcomes = json.loads(done.stdout)
    assert sum("short" in found for found in outcomes.values()) >= 20
    for name, found in outcomes.items():
        assert found[-1] == "whole", name
        assert set(found) <= {"short", "whole"}, name
