"""Films are kept in memory up to a bound."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from model.data import film_cache
from model.data.coco import load_coco
from model.data.dataset import TrainingStream
from model.data.film_cache import FilmCache, Reduced, share_of_memory
from tests.support.coco_folder import disc_folder


def film(count: int) -> Reduced:
    return np.zeros((count, 1), np.uint8), (1.0, 1.0)


def test_films_stay_while_they_fit() -> None:
    cache, read = FilmCache(100), list[int]()

    def get(key: int, count: int) -> None:
        def reads() -> Reduced:
            read.append(key)
            return film(count)

        assert len(cache.get(key, reads)[0]) == count

    for key, count in ((1, 60), (2, 50), (3, 40), (1, 60), (2, 50), (3, 40)):
        get(key, count)
        assert cache.used_bytes <= 100
    assert read == [1, 2, 3, 2]
    assert cache.used_bytes == 100


def test_another_process_starts_without_films() -> None:
    cache = FilmCache(100)
    cache.get(1, lambda: film(10))
    sent = pickle.loads(pickle.dumps(cache))  # noqa: S301  our own bytes
    assert (sent.most_bytes, sent.used_bytes) == (100, 0)


def test_processes_share_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_cache, "_available_bytes", lambda: 16 * 2**30)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert share_of_memory(0) == share_of_memory(1) == 4 * 2**30
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert share_of_memory(4) == 2**29


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_cache, "_CGROUP", tmp_path)
    free = film_cache._available_bytes()
    assert free > 2**20
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert film_cache._available_bytes() == 2_000_000
    (tmp_path / "memory.current").write_text("4000000\n")
    assert film_cache._available_bytes() == 0
    (tmp_path / "memory.max").write_text("max\n")
    assert film_cache._available_bytes() > 2**20


def test_a_stream_keeps_to_its_bound_and_says_so(tmp_path: Path) -> None:
    data = load_coco(disc_folder(tmp_path, 4))
    stream = TrainingStream(data, (64, 64), 12, 0, cache_bytes=2 * 80 * 100)
    for index in range(12):
        assert stream[index][0].shape == (1, 64, 64)
    assert stream._cache.used_bytes == 2 * 80 * 100
    assert stream.notes()[-1].endswith("which holds 0 of 4.")  # a film may have 160 x 160 pixels
    roomy = TrainingStream(data, (64, 64), 12, 0, cache_bytes=2**30)
    assert roomy.notes()[-1].endswith(
        "up to 1,024 MiB in each process that reads them, which holds all 4."
    )
