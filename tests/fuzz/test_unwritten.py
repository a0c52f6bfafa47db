"""No decoder leaves a part of an image unwritten: `python -m tests.fuzz.unwritten`."""

from __future__ import annotations

import pytest

from tests.fuzz.unwritten import UNWRITTEN, find_differences

FILES, SEED = 40, 1


@pytest.mark.long
def test_what_was_in_memory_is_in_no_image() -> None:
    different = find_differences(FILES, SEED)
    if UNWRITTEN not in different:
        pytest.skip("the allocator fills no memory: it is not glibc's")
    assert different == {UNWRITTEN}
