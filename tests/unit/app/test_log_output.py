"""The log's output: what nobody takes is lost and counted, and nobody waits for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.log_output import MOST_PENDING_BYTES, LogOutput

LINE = b"x" * 999 + b"\n"


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def output_to(descriptor: int) -> LogOutput:
    return LogOutput(descriptor, lambda lines: f"lost {lines}\n")


def read_to_end(reading: int) -> list[bytes]:
    with os.fdopen(reading, "rb") as stream:
        return stream.read().splitlines(keepends=True)


def test_lines_come_in_order(ends: tuple[int, int]) -> None:
    output = output_to(ends[1])
    for number in range(100):
        output.put(b"%d\n" % number)
    output.close()
    os.close(ends[1])
    assert read_to_end(ends[0]) == [b"%d\n" % number for number in range(100)]


@pytest.mark.parametrize("blocking", [True, False])
def test_lines_that_nobody_reads_are_lost_whole_and_told(
    ends: tuple[int, int], blocking: bool
) -> None:
    os.set_blocking(ends[1], blocking)
    output = output_to(ends[1])
    given = 3 * MOST_PENDING_BYTES // len(LINE)
    for _ in range(given):
        output.put(LINE)
    lost = output.lost_lines
    assert lost > given / 2
    lines: list[bytes] = []
    reader = threading.Thread(target=lambda: lines.extend(read_to_end(ends[0])))
    reader.start()
    output.close()
    os.close(ends[1])
    reader.join()
    kept = [line for line in lines if line == LINE]
    told = [int(line.removeprefix(b"lost ")) for line in lines if line != LINE]
    assert len(kept) + lost == given
    assert sum(told) == lost


def test_a_line_longer_than_the_bound_is_written(ends: tuple[int, int]) -> None:
    output = output_to(ends[1])
    output.put(b"x" * (2 * MOST_PENDING_BYTES) + b"\n")
    lines: list[bytes] = []
    reader = threading.Thread(target=lambda: lines.extend(read_to_end(ends[0])))
    reader.start()
    output.close()
    os.close(ends[1])
    reader.join()
    assert [len(line) for line in lines] == [2 * MOST_PENDING_BYTES + 1]


def test_the_end_waits_for_nobody(ends: tuple[int, int]) -> None:
    output = output_to(ends[1])
    for _ in range(200):
        output.put(LINE)
    output.close()
    assert output.lost_lines == 0  # not yet: they may be read until the process has ended


def test_a_full_disk_loses_lines_until_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "log"
    descriptor = os.open("/dev/full", os.O_WRONLY)
    output = output_to(descriptor)
    output.put(LINE * 3)
    while output.lost_lines < 3:
        pass
    with path.open("wb") as room:
        os.dup2(room.fileno(), descriptor)
        output.put(LINE)
        output.close()
    os.close(descriptor)
    assert path.read_bytes() == LINE + b"lost 3\n"
