"""API keys: a file of their hashes, and the command that makes one.

A file holds one key a line, `NAME SHA256`; lines that start with `#` are comments. It has hashes
only, so that whoever reads it cannot ask. Keys are 256 random bits, for which one round of SHA-256
is enough: there is nothing to guess.

python -m app.keys NAME >> KEYS    makes a key: its line to the file, the key itself to the terminal
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Final

_KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LINE = re.compile(rf"({_NAME.pattern})[ \t]+([0-9a-f]{{64}})")
_LOOK_SECONDS: Final = 1.0
_logger = logging.getLogger(__name__)


class KeysError(ValueError):
    """A file of keys that cannot be used; the message is one sentence and quotes nothing of it."""


class Keys:
    """The keys that are accepted.

    Args:
        digests: name of each key and its SHA-256, hexadecimal.

    Attributes:
        names: of the keys, by their SHA-256.
    """

    def __init__(self, digests: Mapping[str, str]) -> None:
        self.names = {digest: name for name, digest in digests.items()}

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Reads a file of keys.

        Raises:
            KeysError: if it cannot be read, others may write it, it has another form or no key: a
                service that was meant to be closed must not open, nor run with nobody let in.
        """
        try:
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode):  # a pipe would be waited for, and read only once
                raise KeysError(f"the keys in {path} cannot be read: it is no regular file")
            if mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise KeysError(
                    f"others may write {path}, and so could let themselves in: chmod go-w it"
                )
            lines = path.read_text(encoding="ascii").splitlines()
        except OSError as error:
            raise KeysError(f"the keys in {path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise KeysError(f"{path} is not a file of keys: it is not ASCII") from error
        digests: dict[str, str] = {}
        for number, line in enumerate(map(str.strip, lines), 1):
            if not line or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            if match is None:
                raise KeysError(f"{path}, line {number}: not of the form NAME SHA256")
            if match[1] in digests:
                raise KeysError(f"{path}, line {number}: there is a key of this name already")
            digests[match[1]] = match[2]
        if not digests:
            raise KeysError(f"{path} has no keys: nobody could ask")
        return cls(digests)

    def name_of(self, key: str) -> str | None:
        """Whose key this is, or None.

        How long a look-up takes tells of hashes alone, of which nobody can choose one.
        """
        return self.names.get(_digest(key))


class KeysFile:
    """The keys of a file, which is read anew while it is used: one is added or withdrawn at once.

    A file that cannot be used, since it is being written, say, changes nothing: what was accepted
    before it goes on being so, and the log says why.

    Args:
        path: of the file.
        clock: in seconds.

    Raises:
        KeysError: as `Keys.read`.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = monotonic) -> None:
        self._path, self._clock = path, clock
        self._keys = Keys.read(path)
        self._looked = clock()
        self._fault = ""

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._keys.names)

    def name_of(self, key: str) -> str | None:
        """Whose key this is by the file as it was a second ago at most, or None."""
        if self._clock() - self._looked >= _LOOK_SECONDS:
            self._look()
        return self._keys.name_of(key)

    def _look(self) -> None:
        self._looked = self._clock()
        try:
            keys, fault = Keys.read(self._path), ""
        except KeysError as error:
            keys, fault = self._keys, str(error)
        if keys.names != self._keys.names:
            _logger.info("the keys have changed")
        if fault and fault != self._fault:
            fields = {"reason": fault}
            _logger.warning("the keys stay as they were", extra={"fields": fields})
        self._keys, self._fault = keys, fault


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def new_key(name: str) -> tuple[str, str]:
    """Makes a key.

    Returns:
        The key, and its line for the file.

    Raises:
        KeysError: for a name that is not 1 to 64 letters, digits, dots, hyphens or underscores.
    """
    if not _NAME.fullmatch(name):
        raise KeysError("a key's name is 1 to 64 letters, digits, dots, hyphens or underscores")
    key = secrets.token_urlsafe(_KEY_BYTES)
    return key, f"{name} {_digest(key)}"


def main(arguments: list[str]) -> int:
    """Prints a new key's line to standard output and the key to standard error."""
    if len(arguments) != 1:
        print("usage: python -m app.keys NAME >> KEYS", file=sys.stderr)  # noqa: T201
        return 2
    try:
        key, line = new_key(arguments[0])
    except KeysError as error:
        print(f"solo-xray: {error}", file=sys.stderr)  # noqa: T201
        return 2
    print(line)  # noqa: T201
    print(f"{key}\nThe key is shown only this once.", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
