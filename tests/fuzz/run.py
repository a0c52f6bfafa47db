"""Feeds broken files to the decoder processes: `python -m tests.fuzz.run --files 5000`.

Each file follows from the seed, its name and its number, which a complaint names:
`python -m tests.fuzz.run --seed 3 --only "dicom rle" --first 4711 --files 1` tries it again.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from app.errors import status_of
from solo.decoding.radiograph import Limits
from solo.errors import DecoderCrashedError, SoloError
from solo.sandbox.pool import DecoderPool
from tests.fuzz.corpus import corpus
from tests.fuzz.mutations import mutate
from tests.support.decoders import workers_of

CANVAS = (64, 64)
MAX_PIXELS = 1_000_000
DECODE_SECONDS = 5.0
ALLOWED_STATUSES = {400, 413, 415, 422}
"""What the design has for a file; a time-out, a 500 or a 503 is a finding."""


@dataclass
class Tally:
    """What became of the files.

    Attributes:
        outcomes: how often each kind of answer came, by name of the file's kind.
        complaints: answers that must not be.
        deaths: processes that ended while files were in work.
        crashes: files that were said to have broken their decoder.
        slowest_seconds: the longest that a file took.
        peak_bytes: the most that a process has held in memory.
    """

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    deaths: int = 0
    crashes: int = 0
    slowest_seconds: float = 0.0
    peak_bytes: int = 0


class _Deaths(logging.Handler):
    """Counts what the pool says of processes that ended."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage() == "a decoder ended"


async def fuzz(files: int, seed: int, *, first: int = 0, only: str | None = None) -> Tally:
    """Tries so many broken files of each kind.

    Args:
        files: of each kind.
        seed: of all randomness.
        first: number of the first file.
        only: the one kind to try, or None for all.
    """
    tally, deaths = Tally(), _Deaths()
    logger = logging.getLogger("solo.sandbox.pool")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(deaths)
    pool = DecoderPool(2, CANVAS, Limits(MAX_PIXELS), DECODE_SECONDS, tally.complaints.append)
    try:
        await pool.start()
        for name in corpus():
            if only in (None, name):
                tally.outcomes[name] = Counter()
                lanes = (_lane(pool, tally, name, seed, range(first + lane, first + files, 2))
                         for lane in range(2))  # fmt: skip
                await asyncio.gather(*lanes)
                tally.peak_bytes = max(tally.peak_bytes, *map(_peak_bytes, workers_of()), 0)
    finally:
        await pool.stop()
        logger.removeHandler(deaths)
        logger.setLevel(level)
    tally.deaths = deaths.count
    return tally


async def _lane(pool: DecoderPool, tally: Tally, name: str, seed: int, numbers: range) -> None:
    data = corpus()[name]
    for number in numbers:
        random = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
        broken = mutate(name, data, random)
        started = perf_counter()
        try:
            await pool.decode(broken, int(random.integers(2)) * (random.random() < 0.1))
            outcome = "decoded"
        except SoloError as error:
            outcome = error.kind
            tally.crashes += isinstance(error, DecoderCrashedError)
            if status_of(error) not in ALLOWED_STATUSES:
                tally.complaints.append(
                    f"{name} {number} (seed {seed}): {status_of(error)} {error.kind}"
                )
        tally.outcomes[name][outcome] += 1
        tally.slowest_seconds = max(tally.slowest_seconds, perf_counter() - started)


def _peak_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def main() -> int:
    """Command line; 1 if anything came that must not."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run")
    parser.add_argument("--files", type=int, default=5000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--only", choices=list(corpus()), help="one kind")
    arguments = parser.parse_args()
    started = perf_counter()
    tally = asyncio.run(
        fuzz(arguments.files, arguments.seed, first=arguments.first, only=arguments.only)
    )
    for name, outcomes in tally.outcomes.items():
        print(f"{name:<20}", ", ".join(f"{kind} {n}" for kind, n in outcomes.most_common()))  # noqa: T201
    print(  # noqa: T201
        f"{sum(map(Counter.total, tally.outcomes.values())):,} files in "
        f"{perf_counter() - started:.0f} s; slowest {tally.slowest_seconds:.2f} s; largest process "
        f"{tally.peak_bytes / 2**20:.0f} MiB; {tally.deaths} decoders died, "
        f"{tally.crashes} of them of a file"
    )
    for complaint in tally.complaints:
        print(complaint, file=sys.stderr)  # noqa: T201
    return bool(tally.complaints)


if __name__ == "__main__":
    sys.exit(main())
