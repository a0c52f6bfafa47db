"""Outcomes of a film: what became of it, and the errors by which its work ends early.

A reason is a word of a closed set: it goes into logs and metrics, and tells nothing of a patient.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """What became of a film."""

    STORED = "stored"  # every result is in the archive's own list
    EMPTY = "empty"  # nothing was found: there is no object to store
    OWN = "own"  # one of this gateway's own objects came back
    REFUSED = "refused"  # no radiograph that can be segmented, or one without the UIDs it needs
    FAILED = "failed"  # it failed by itself: the sender is told so, or it is tried again
    PASSED = "passed"  # it failed by itself as often as it may, and is tried no more
    LATER = "later"  # busy, or a peer is away: whoever owns the film tries again


OUTCOMES: Final = tuple(Outcome)


class FilmError(Exception):
    """The work on a film ends without a result.

    Args:
        reason: a word of a closed set.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class EmptyFilmError(FilmError):
    """Nothing was found in the film."""


class RefusedFilmError(FilmError):
    """The service reads the film and says that it can never be segmented."""


class FaultyFilmError(FilmError):
    """The film fails, though the peers answer: trying again may help, and may not."""


class SlowFilmError(FaultyFilmError):
    """The service takes too long for the film, or is lost on it: the film's fault, or its own."""


class TryLaterError(FilmError):
    """A peer is busy or away: no fault of the film.

    Args:
        reason: a word of a closed set.
        retry_after_seconds: when the peer wants to be asked again.
    """

    def __init__(self, reason: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class StartError(Exception):
    """The gateway cannot work like this; the message is a sentence for the operator."""
