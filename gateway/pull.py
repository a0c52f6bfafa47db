"""Pull: asks the archive for new films, and moves the cursor when their results are stored."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event
from typing import Final

from gateway.cursor import Cursor
from gateway.feed import Entry, Feed
from gateway.film_work import FilmWork
from gateway.log import write
from gateway.metrics import Metrics
from gateway.outcomes import FaultyFilmError, FilmError, Outcome, SlowFilmError, TryLaterError

_FILM_SECONDS: Final = 120.0
_LONGEST_PAUSE_SECONDS: Final = 60.0
_MOST_KNOWN: Final = 100_000


class Puller:
    """Works through a feed; the only state that outlives the process is the cursor.

    Args:
        feed: which films there are.
        cursor: how far it was read.
        work: what is done with each film.
        metrics: counts.
        films: most in work at once.
        tries: how often a film that fails by itself is tried.
        poll_seconds: between two questions where nothing is new.
    """

    def __init__(
        self,
        feed: Feed,
        cursor: Cursor,
        work: FilmWork,
        metrics: Metrics,
        films: int,
        tries: int,
        poll_seconds: float,
    ) -> None:
        self._feed, self._cursor, self._work, self._metrics = feed, cursor, work, metrics
        self._pool = ThreadPoolExecutor(films, "film")
        self._tries, self._poll_seconds = tries, poll_seconds
        self._failed: dict[str, int] = {}
        self._done: dict[str, None] = {}  # in the order in which it was done
        self._stopping = Event()
        self._worked = Event()  # since the last pause some film came to its end

    def stop(self) -> None:
        """Ends `run` after the films in work."""
        self._stopping.set()

    def run(self) -> None:
        """Pulls until `stop`.

        Raises:
            StartError: if the cursor is none of this archive's.
            OSError: if the cursor cannot be written.
        """
        pause = 0.0
        place = self._cursor.read()
        while not self._stopping.wait(pause):
            try:
                if place is None:
                    place = self._first()
                listed = self._read(place)
                entries = self._few(listed)
                place, error = self._round(entries, place)
                if self._worked.is_set():
                    pause = 0.0
                if error is not None:
                    raise error
                if len(entries) < len(listed):
                    self._feed.undo()
                # Where films are passed over and none succeeds, an archive may refuse them all:
                # the pause grows, and so few are passed before somebody looks.
                pause = max(pause, 0.0 if entries else self._poll_seconds)
            except TryLaterError as error:
                self._feed.undo()
                pause = min(max(2 * pause, error.retry_after_seconds), _LONGEST_PAUSE_SECONDS)
                self._worked.clear()
                write("waiting", reason=error.reason, seconds=round(pause, 1))

    def _first(self) -> str:
        with self._counted():
            place = self._feed.first()
        self._cursor.write(place)
        return place

    def _read(self, place: str) -> Sequence[Entry]:
        with self._counted():
            entries = self._feed.read(place)
        self._metrics.cursor_lag.set(self._feed.lag())
        return entries

    def _few(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """As far as the next film while any has failed, else all.

        A film that ends the service takes those beside it along: alone, each fails by itself.
        """
        if not self._failed:
            return entries
        for count, entry in enumerate(entries, 1):
            if entry.place is not None and entry.key not in self._done:
                return entries[:count]
        return entries

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Counts a question to the archive that fails."""
        try:
            yield
        except FilmError as error:
            self._metrics.failures.labels(error.reason).inc()
            raise

    def _round(self, entries: Sequence[Entry], place: str) -> tuple[str, TryLaterError | None]:
        """Does entries at once, and moves the cursor over those that are done in their order."""
        futures = [self._pool.submit(self._do, entry) for entry in entries]
        failed: TryLaterError | None = None
        for entry, future in zip(entries, futures, strict=True):
            try:
                future.result()
            except TryLaterError as error:
                failed = error
                break
            if entry.after != place:
                self._cursor.write(entry.after)
                place = entry.after
        if failed is not None:
            for future in futures:
                future.cancel()
            wait(futures)
        return place, failed

    def _do(self, entry: Entry) -> None:
        if entry.place is None or entry.key in self._done:
            return
        if self._stopping.is_set():
            raise TryLaterError("draining")
        try:
            self._film(entry.place)
        except FaultyFilmError as error:
            count = self._failed[entry.key] = self._failed.get(entry.key, 0) + 1
            # One that may have been lost with another is tried again, alone.
            if count < max(self._tries, 2 if isinstance(error, SlowFilmError) else 1):
                raise TryLaterError(error.reason) from error
            self._metrics.films.labels(Outcome.PASSED).inc()
            write("film passed over", reason=error.reason, tries=count)
        self._failed.pop(entry.key, None)
        self._done[entry.key] = None
        if len(self._done) > _MOST_KNOWN:
            self._done.pop(next(iter(self._done)), None)

    def _film(self, place: str) -> None:
        deadline = time.monotonic() + _FILM_SECONDS
        with self._metrics.timed("fetch"), self._counted():
            film = self._feed.fetch(place, deadline)
        if film is not None:  # else it is no film, or the archive has it no more
            self._work.do(film, deadline)
            self._worked.set()
