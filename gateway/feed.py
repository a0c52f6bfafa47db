"""Feeds of an archive: which films are new, and their bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.http import Answer, Peer
from gateway.outcomes import FaultyFilmError, TryLaterError

ASK_SECONDS: Final = 30.0
MOST_LIST_BYTES: Final = 16 * 2**20
# Of an archive that has just said which films are new: this one it cannot give.
_FILM_FAILS: Final = frozenset({400, 406, 415, 422, 500})


@dataclass(frozen=True)
class Entry:
    """One step of a feed.

    Attributes:
        key: names it within this process.
        after: the cursor when it is done.
        place: where the film is, for `Feed.fetch`; None for a step without a film.
    """

    key: str
    after: str
    place: str | None


class Feed(Protocol):
    """What an archive has, in an order in which a cursor makes sense."""

    def first(self) -> str:
        """The cursor of a gateway that starts for the first time: what is there is left alone.

        Raises:
            TryLaterError: if the archive is away.
        """

    def read(self, cursor: str) -> Sequence[Entry]:
        """The next steps after a cursor; none if there is nothing new.

        Raises:
            TryLaterError: if the archive is away.
            StartError: if the cursor is none of this archive's.
        """

    def fetch(self, place: str, deadline: float) -> bytes | None:
        """A film (PS3.10), or None if it is gone, or is of no class of films.

        Raises:
            FaultyFilmError: if the archive cannot give this film, or it is too large.
            TryLaterError: if the archive is away.
        """

    def undo(self) -> None:
        """The steps of the last `read` were not all done: they are read again."""

    def lag(self) -> float:
        """How many steps the last `read` left behind."""


def ask_json(archive: Peer, path: str) -> Any:  # noqa: ANN401 - JSON of a peer
    """A document of the archive.

    Raises:
        TryLaterError: if it answers anything else.
    """
    deadline = time.monotonic() + ASK_SECONDS
    headers = {"Accept": "application/dicom+json, application/json"}
    answer = archive.ask("GET", path, deadline, headers, most_bytes=MOST_LIST_BYTES)
    if answer.status == 204:
        return []
    if answer.status != 200:
        raise status_error(answer)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise TryLaterError("archive-answer") from error


def ask_film(
    archive: Peer, path: str, deadline: float, most_bytes: int, headers: Mapping[str, str]
) -> Answer | None:
    """An answer of 200 with a film, or None if it is gone.

    Raises:
        FaultyFilmError: if the archive cannot give this film, or it is too large.
        TryLaterError: if the archive is away.
    """
    try:
        answer = archive.ask("GET", path, deadline, headers, most_bytes=most_bytes)
    except TryLaterError as error:
        if error.reason == "archive-size":
            raise FaultyFilmError(error.reason) from error
        raise
    if answer.status in (404, 410):
        return None
    if answer.status in _FILM_FAILS:
        raise FaultyFilmError("archive-status")
    if answer.status != 200:
        raise status_error(answer)
    return answer


def status_error(answer: Answer) -> TryLaterError:
    """The error of an answer that is not 200."""
    return TryLaterError("archive-status", answer.retry_after_seconds)
