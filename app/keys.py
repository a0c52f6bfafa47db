"""API keys: a file of their hashes, and the command that makes one.

A file holds one key a line, `NAME SHA256`; lines that start with `#` are comments. It has hashes
only, so that whoever reads it cannot ask. Keys are 256 random bits, for which one round of SHA-256
is enough: there is nothing to guess.

python -m app.keys NAME >> KEYS    makes a key: its line to the file, the key itself to the terminal
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

_KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LINE = re.compile(rf"({_NAME.pattern})[ \t]+([0-9a-f]{{64}})")


class KeysError(ValueError):
    """A file of keys that cannot be used; the message is one sentence and quotes nothing of it."""


class Keys:
    """The keys that are accepted.

    Args:
        digests: name of each key and its SHA-256, hexadecimal.
    """

    def __init__(self, digests: Mapping[str, str]) -> None:
        self._digests = dict(digests)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._digests)

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Reads a file of keys.

        Raises:
            KeysError: if it cannot be read, has another form or has no key: a service that was
                meant to be closed must not open, nor run with nobody let in.
        """
        try:
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
        """Whose key this is, or None; takes as long whether and wherever it is found."""
        digest = _digest(key)
        found = None
        for name, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found


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
