"""A file in memory, with its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


class RadiographFile:
    """The bytes of a file, in the pieces that they came in: nobody needs them joined.

    Args:
        pieces: never changed.

    Attributes:
        length: of all its bytes.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = tuple(pieces)
        self.length = sum(map(len, self.pieces))
        self._sha256: str | None = None

    @property
    def sha256(self) -> str:
        """Of its bytes, hexadecimal."""
        return self._sha256 or self.hash()

    def hash(self) -> str:
        """Finds the SHA-256, once, ahead of the question: 10 ms for 15 MB."""
        if self._sha256 is None:
            digest = hashlib.sha256()
            for piece in self.pieces:
                digest.update(piece)
            self._sha256 = digest.hexdigest()
        return self._sha256
