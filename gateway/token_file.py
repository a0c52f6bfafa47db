"""Token files: the keys that the gateway shows to its peers."""

from __future__ import annotations

from pathlib import Path


def read_token(path: Path) -> str:
    """The bearer token in the first line of a file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the line is no token.
    """
    token = path.read_bytes().split(b"\n", 1)[0].strip().decode("ascii")
    if not token or not token.isprintable() or " " in token:
        raise ValueError("its first line is no token")
    return token
