from __future__ import annotations

import cv2
import pytest

from solo.decoding.codecs.memory import check_memory
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from tests.support import films


def test_a_lack_of_memory_is_told_from_damage() -> None:
    no_memory, damaged = cv2.error(), cv2.error()
    no_memory.code, damaged.code = cv2.Error.StsNoMem, cv2.Error.StsParseError
    for error in (no_memory, RuntimeError("Failed to allocate Memory for tiles")):
        with pytest.raises(MemoryError):
            check_memory(error)
    for error in (damaged, RuntimeError("premature end of codestream")):
        check_memory(error)


def test_a_jpeg_that_lacked_memory_is_not_called_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode_jpeg(*_: object, **_options: object) -> None:
        raise ValueError("Insufficient memory (case 4)")  # libjpeg's words

    monkeypatch.setattr("simplejpeg.decode_jpeg", decode_jpeg)
    with pytest.raises(MemoryError):
        decode(films.jpeg(films.flat(77)), Limits(max_pixels=100_000))
