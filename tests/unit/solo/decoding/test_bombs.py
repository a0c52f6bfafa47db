"""Small files that ask for much; `python -m benchmarks.bombs` times them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from app.errors import status_of
from solo.decoding.decode import decode
from solo.decoding.dicom import element_walk, encapsulation
from solo.decoding.dicom import file as dicom_file_module
from solo.decoding.radiograph import Limits
from solo.errors import SoloError
from tests.support.bombs import HARMLESS, bombs

BOMBS = bombs(megabytes=20)


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(dicom_file_module, "MAX_INFLATED_BYTES", 2**20)
    monkeypatch.setattr(element_walk, "MAX_STEPS", 20_000)  # each step is slow while it is traced
    monkeypatch.setattr(encapsulation, "MAX_ITEMS", 20_000)
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_or_passed_over(name: str) -> None:
    if name in HARMLESS:
        assert decode(BOMBS[name], Limits(50_000_000)).pixels.shape == (70, 60)
    else:
        with pytest.raises(SoloError) as caught:
            decode(BOMBS[name], Limits(50_000_000))
        assert status_of(caught.value) in {400, 413, 422}
    _, peak_bytes = tracemalloc.get_traced_memory()
    assert peak_bytes < 64 * 2**20
