"""What gathering says: the table of what was dropped, or why nothing was written."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from datasets.gather.__main__ import main
from tests.support.exports import gathered, truth

FILM_A = [entry for entry in truth() if entry[0] == "a"]


def dropped(source: Path, capsys: pytest.CaptureFixture[str]) -> list[tuple[int, int, str]]:
    """What the table says of a source, whose result is the two objects of film `a` alone."""
    out = source.with_name("out")
    assert main([str(source), "--out", str(out)]) == 0
    assert gathered(out) == FILM_A
    said = capsys.readouterr().out
    rows = [line.split(maxsplit=2) for line in said.splitlines()[1:] if not line.startswith("-")]
    counts = [(int(films), int(objects)) for films, objects, _ in rows]
    assert counts[-1] == (
        sum(films for films, _ in counts[:-1]),
        sum(objects for _, objects in counts[:-1]),
    )
    return [(int(films), int(objects), text) for films, objects, text in rows[1:-1]]


def refused(source: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence, or the few, of a source from which nothing is written."""
    out = source.with_name("out")
    assert main([str(source), "--out", str(out)]) == 1
    assert not out.exists()
    told = [line for line in capsys.readouterr().err.splitlines() if "|" not in line and line]
    assert told
    return "\n".join(told)


def bomb(size: tuple[int, int]) -> bytes:
    """A PNG of a few bytes that says it is of another size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", size[1], size[0], 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + head + pixels + chunk(b"IEND", b"")
