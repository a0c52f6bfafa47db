"""A short run over broken files; `make fuzz` is the long one."""

from __future__ import annotations

import numpy as np
import pytest

from solo.decoding.decode import decode
from solo.decoding.dicom.transfer_syntaxes import CODINGS, JPEGXLJPEGRecompression
from solo.decoding.radiograph import Limits
from tests.fuzz.corpus import FILM, corpus
from tests.fuzz.mutations import mutate
from tests.fuzz.run import DECODE_SECONDS, MAX_PIXELS, fuzz
from tests.support.planted_worker import FAULT, SEGFAULT

FILES, SEED = 60, 20
# An idle process, one film of MAX_PIXELS in every form that a step needs, and the allocator's rest.
MOST_BYTES = 256 * 2**20


@pytest.mark.parametrize("name", corpus())
def test_the_corpus_is_valid_before_it_is_broken(name: str) -> None:
    radiograph = decode(corpus()[name], Limits(MAX_PIXELS))
    assert radiograph.pixels.shape == FILM.shape
    assert radiograph.info.kind == name.split()[0]


def test_every_syntax_that_is_read_is_fuzzed() -> None:
    films = (decode(data, Limits(MAX_PIXELS)) for data in corpus().values())
    # No encoder here recompresses a JPEG; its codestream is a JPEG XL like the others.
    syntaxes = {*CODINGS} - {JPEGXLJPEGRecompression}
    assert {film.info.encoding for film in films} == {*syntaxes, "png", "jpeg", "tiff"}


def test_a_broken_file_follows_from_its_seed_and_is_broken() -> None:
    for name, data in corpus().items():
        once, again = (
            [mutate(name, data, np.random.default_rng([SEED, number])) for number in range(8)]
            for _ in range(2)
        )
        assert once == again
        assert sum(broken != data for broken in once) >= 6


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_broken_files_get_a_status_of_the_design(anyio_backend: str) -> None:
    tally = await fuzz(FILES, SEED)
    assert tally.complaints == []
    assert {name: found.total() for name, found in tally.outcomes.items()} == dict.fromkeys(
        corpus(), FILES
    )
    kinds = {kind for found in tally.outcomes.values() for kind in found}
    assert {"decoded", "truncated", "malformed", "image-too-large", "not-segmentable"} <= kinds
    assert tally.deaths == tally.crashes  # none dies unreported
    assert tally.slowest_seconds <= DECODE_SECONDS
    assert 0 < tally.peak_bytes < MOST_BYTES


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_fuzzer_complains_and_counts_deaths(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solo.sandbox.process._WORKER", "tests.support.planted_worker")
    plans = iter([SEGFAULT, FAULT, corpus()["png grey"]])
    monkeypatch.setattr("tests.fuzz.run.mutate", lambda *_: next(plans))
    tally = await fuzz(3, SEED, only="png grey")
    assert dict(tally.outcomes["png grey"]) == {"decoder-crashed": 1, "internal": 1, "decoded": 1}
    assert (tally.deaths, tally.crashes) == (1, 1)
    (complaint,) = tally.complaints
    assert "500 internal" in complaint
