"""The cursor: how far the archive has been read, a few signs in a file, and the only state."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.outcomes import StartError

_MOST_BYTES = 64


class Cursor:
    """A text in a file that is replaced as a whole.

    Args:
        path: the file; its folder is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str | None:
        """The text, or None before the first write.

        Raises:
            StartError: if the file is there and is none of ours.
        """
        try:
            text = self._path.read_bytes()[: _MOST_BYTES + 1].decode("ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"the cursor {self._path} cannot be read") from error
        if not text or len(text) > _MOST_BYTES:
            raise StartError(f"{self._path} holds no cursor: write one, or remove the file")
        return text

    def write(self, text: str) -> None:
        """Replaces the text, so that a crash leaves the old one or the new one.

        Raises:
            OSError: if the disk is full, say: what was done since is done again.
        """
        beside = self._path.with_name(f"{self._path.name}.new")
        with beside.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
