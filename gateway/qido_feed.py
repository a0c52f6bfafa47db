"""QIDO-RS (PS3.18 10.6): the studies of the last days, for archives without a change feed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from gateway.contexts import film_classes
from gateway.feed import ASK_SECONDS, Entry, ask_film, ask_json
from gateway.http import Peer
from gateway.multipart import parts
from gateway.outcomes import FaultyFilmError, StartError, TryLaterError

_PAGE: Final = 100
_STUDY: Final = "0020000D"
_SERIES: Final = "0020000E"
_SOP_CLASS: Final = "00080016"
_SOP_INSTANCE: Final = "00080018"
_INSTANCES_OF_STUDY: Final = "00201208"
_ACCEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'


class QidoFeed:
    """A `Feed` of DICOMweb; the cursor is the day up to which the archive has been read.

    No question of the standard asks when an object was stored. So the studies of a window of days
    are listed again and again, and those that have grown are looked at. What was done is known in
    memory alone: after a restart the window is done again, and its results are there already.

    Args:
        archive: the root of its DICOMweb services.
        window_days: before the cursor.
        most_bytes: of a film.
    """

    def __init__(self, archive: Peer, window_days: int, most_bytes: int) -> None:
        self._archive, self._most_bytes = archive, most_bytes
        self._window = timedelta(days=window_days)
        self._classes = film_classes()
        self._sizes: dict[str, str] = {}  # of the studies that were looked at
        self._before: dict[str, str] = {}
        self._lag = 0.0

    def first(self) -> str:
        """See `Feed`: the window before today is looked at."""
        return datetime.now(UTC).date().isoformat()

    def read(self, cursor: str) -> Sequence[Entry]:
        """See `Feed`; the last entry moves the cursor to this day."""
        try:
            begin = date.fromisoformat(cursor) - self._window
        except ValueError as error:
            raise StartError(f"the cursor {cursor!r} is no date: remove its file") from error
        today = datetime.now(UTC).date().isoformat()
        sizes: dict[str, str] = {}
        films: list[Entry] = []
        for study in self._pages(f"/studies?StudyDate={begin:%Y%m%d}-&includefield=00201208"):
            uid, size = _value(study, _STUDY), _value(study, _INSTANCES_OF_STUDY)
            if not _is_uid(uid):
                continue
            if not size or self._sizes.get(uid) != size:
                films += self._films(uid, cursor)
            sizes[uid] = size
        self._before, self._sizes = self._sizes, sizes
        self._lag = float(len(films))
        if not films and cursor == today:
            return []
        return [*films, Entry(today, today, None)]

    def fetch(self, place: str, deadline: float) -> bytes | None:
        """See `Feed`."""
        until = min(deadline, time.monotonic() + ASK_SECONDS)
        most = self._most_bytes + 4096
        answer = ask_film(self._archive, place, until, most, {"Accept": _ACCEPT})
        if answer is None:
            return None
        try:
            (film,) = parts(answer.media_type, answer.body)
        except ValueError as error:
            raise FaultyFilmError("archive-answer") from error
        return film

    def undo(self) -> None:
        """See `Feed`."""
        self._sizes = self._before

    def lag(self) -> float:
        """See `Feed`."""
        return self._lag

    def _films(self, study: str, cursor: str) -> Iterator[Entry]:
        for one in self._pages(f"/studies/{study}/instances?includefield={_SERIES}"):
            uid, series = _value(one, _SOP_INSTANCE), _value(one, _SERIES)
            if _value(one, _SOP_CLASS) in self._classes and _is_uid(uid) and _is_uid(series):
                yield Entry(uid, cursor, f"/studies/{study}/series/{series}/instances/{uid}")

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        """All pages: an archive may give fewer than asked for (PS3.18 8.3.4.4), or all at once."""
        offset = 0
        seen: set[tuple[str, str]] = set()
        while True:
            page = ask_json(self._archive, f"{path}&limit={_PAGE}&offset={offset}")
            if not isinstance(page, list):
                raise TryLaterError("archive-answer")
            known = len(seen)
            for one in page:
                name = _value(one, _STUDY), _value(one, _SOP_INSTANCE)
                if name not in seen:
                    seen.add(name)
                    yield one
            if len(seen) == known:
                return
            offset += len(page)


def _value(data_set: dict[str, Any], tag: str) -> str:
    try:
        return str(data_set[tag]["Value"][0])
    except (KeyError, IndexError, TypeError):
        return ""


def _is_uid(text: str) -> bool:
    return re.fullmatch(r"[0-9.]{1,64}", text) is not None
