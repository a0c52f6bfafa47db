"""The command that trains, with a tiny network on one thread."""

from __future__ import annotations

from pathlib import Path

from model import train


def command(data: Path, out: Path, *more: str) -> int:
    given = ["--preset", "tiny", "--data", str(data), "--out", str(out), "--threads", "1"]
    return train.main([*given, "--device", "cpu", *more])
