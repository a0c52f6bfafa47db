from __future__ import annotations

import cv2
import pytest

from solo.decoding.codecs.memory import check_memory


def test_a_lack_of_memory_is_told_from_damage() -> None:
    no_memory, damaged = cv2.error(), cv2.error()
    no_memory.code, damaged.code = cv2.Error.StsNoMem, cv2.Error.StsParseError
    for error in (no_memory, RuntimeError("Failed to allocate Memory for tiles")):
        with pytest.raises(MemoryError):
            check_memory(error)
    for error in (damaged, RuntimeError("premature end of codestream")):
        check_memory(error)
