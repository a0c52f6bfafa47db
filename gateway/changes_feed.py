"""Orthanc's change feed: numbered changes that survive its restarts."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Final

from gateway.contexts import film_classes
from gateway.feed import ASK_SECONDS, Entry, ask_film, ask_json
from gateway.http import Peer
from gateway.outcomes import StartError, TryLaterError

_PAGE: Final = 32


class ChangesFeed:
    """A `Feed` of Orthanc; the cursor is the number of a change.

    Args:
        archive: the root of Orthanc's own interface.
        most_bytes: of a film.
    """

    def __init__(self, archive: Peer, most_bytes: int) -> None:
        self._archive, self._most_bytes = archive, most_bytes
        self._classes = film_classes()
        self._lag = 0.0

    def first(self) -> str:
        """See `Feed`."""
        return str(_whole(ask_json(self._archive, "/changes?last"), "Last"))

    def read(self, cursor: str) -> Sequence[Entry]:
        """See `Feed`."""
        if not re.fullmatch(r"\d{1,18}", cursor):
            raise StartError(f"the cursor {cursor!r} is no number of a change: remove its file")
        document = ask_json(self._archive, f"/changes?since={cursor}&limit={_PAGE}")
        try:
            entries = [
                Entry(str(one["Seq"]), str(int(one["Seq"])), _place(one))
                for one in document["Changes"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise TryLaterError("archive-answer") from error
        self._lag = float(len(entries))
        if len(entries) in (0, _PAGE):
            last = int(self.first())
            self._lag = max(self._lag, float(last - int(cursor)))
            if last < int(cursor):
                raise StartError(
                    f"the archive has {last} changes and the cursor says {cursor}: it is another "
                    "archive, or one that was put back; write the number to go on from into the "
                    "file of the cursor"
                )
        return entries

    def fetch(self, place: str, deadline: float) -> bytes | None:
        """See `Feed`."""
        until = min(deadline, time.monotonic() + ASK_SECONDS)
        kind = ask_film(self._archive, f"{place}/metadata/SopClassUid", until, 1024, {})
        if kind is None or kind.body.decode("latin-1").strip() not in self._classes:
            return None
        answer = ask_film(self._archive, f"{place}/file", until, self._most_bytes, {})
        return None if answer is None else answer.body

    def undo(self) -> None:
        """See `Feed`: the cursor says it all."""

    def lag(self) -> float:
        """See `Feed`."""
        return self._lag


def _place(change: dict[str, object]) -> str | None:
    name = str(change["ID"])
    if change["ChangeType"] != "NewInstance" or not re.fullmatch(r"[0-9a-f-]{1,64}", name):
        return None
    return f"/instances/{name}"


def _whole(document: object, name: str) -> int:
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, int):
        raise TryLaterError("archive-answer")
    return value
