"""The cursor: how far the archive has been read, a few signs in a file, and the only state."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gateway.outcomes import StartError

_MOST_BYTES = 64
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class Cursor:
    """A text in a file that is replaced as a whole.

    Args:
        path: the file; its folder is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def claim(self) -> None:
        """Keeps other gateways away from the file until this process ends.

        Two that write at once may leave a number that is neither's, and films behind it.

        Raises:
            StartError: if another gateway has it, or its folder cannot be written.
        """
        try:
            beside = self._path.with_name(f"{self._path.name}.lock")
            self._lock = os.open(beside, _LOCK_FLAGS, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(
                f"another gateway uses the cursor {self._path}: give each a file of its own"
            ) from error
        except (OSError, ValueError) as error:
            raise StartError(
                f"the cursor {self._path} cannot be written: its folder has to be there, and ours"
            ) from error

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
