"""Storage SCP that holds: a C-STORE is answered after its results are stored (PS3.4 Annex B).

Until then the film is the sender's, who sends it again if this process dies. Nothing is queued:
what cannot be worked on now is answered 0xA700 (out of resources) at once.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from threading import Lock
from typing import Any, Final

from pynetdicom import AE, evt

from gateway.association_server import AssociationServer
from gateway.contexts import accepted_contexts
from gateway.dicom_objects import Head
from gateway.film_work import FilmWork
from gateway.log import write_fault
from gateway.metrics import Metrics
from gateway.outcomes import Outcome, SlowFilmError, TryLaterError
from gateway.settings import Settings

DONE: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
OTHER_OBJECT: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
_LAST_ANSWER_SECONDS: Final = 2.0
_DEAF_SECONDS: Final = 10.0


class Receiver:
    """Takes films by C-STORE.

    Args:
        settings: address, names, certificates and limits.
        work: what is done with each film.
        metrics: counts.

    Raises:
        OSError: if the address or a certificate cannot be used.
    """

    def __init__(self, settings: Settings, work: FilmWork, metrics: Metrics) -> None:
        self._settings, self._work, self._metrics = settings, work, metrics
        self._pool = ThreadPoolExecutor(settings.max_films, "film")
        self._lock = Lock()
        self._films = self._unanswered = 0
        self._draining = False
        entity = AE(ae_title=settings.ae_title)
        entity.supported_contexts = accepted_contexts()
        entity.maximum_associations = settings.max_associations
        entity.maximum_pdu_size = settings.max_pdu
        entity.acse_timeout = settings.associate_seconds  # of its end; its beginning has been read
        entity.dimse_timeout = settings.idle_seconds
        entity.network_timeout = settings.idle_seconds
        refused = self._metrics.rejected.labels("refused")
        self._server = AssociationServer(
            entity,
            settings,
            self._metrics,
            [
                (evt.EVT_C_STORE, self._on_store),
                (evt.EVT_C_ECHO, lambda _: DONE),
                (evt.EVT_REJECTED, lambda _: refused.inc()),
            ],
        )
        self._metrics.associations.set_function(self._established)

    def serve(self) -> None:
        """Serves until `drain`."""
        self._server.serve_forever(poll_interval=0.1)

    def alive(self) -> bool:
        """Whether connections are accepted."""
        return time.monotonic() - self._server.alive_at < _DEAF_SECONDS

    def drain(self) -> None:
        """Refuses what is new, and lets what is in work be answered."""
        self._draining = True
        deadline = time.monotonic() + self._settings.drain_seconds
        self._server.shutdown()
        while self._unanswered and time.monotonic() < deadline:
            time.sleep(0.02)
        # The answer of the last film is written after its handler has returned it.
        last = min(deadline, time.monotonic() + _LAST_ANSWER_SECONDS)
        while self._server.active_associations and time.monotonic() < last:
            time.sleep(0.02)

    def _established(self) -> float:
        return float(sum(one.is_established for one in self._server.active_associations))

    def _on_store(self, event: evt.Event) -> int:
        deadline = time.monotonic() + self._settings.hold_seconds
        with self._lock:
            self._unanswered += 1
        try:
            return self._answer(event, deadline)
        except Exception:  # pynetdicom would log its text, which may quote the film
            write_fault("a C-STORE could not be handled")
            return OUT_OF_RESOURCES
        finally:
            event.assoc.dul._idle_timer.restart()  # the silence was ours
            with self._lock:
                self._unanswered -= 1

    def _answer(self, event: evt.Event, deadline: float) -> int:
        with self._lock:
            reason = "draining" if self._draining else "films-full"
            if self._draining or self._films >= self._settings.max_films:
                return self._count(Outcome.LATER, reason, OUT_OF_RESOURCES)
            self._films += 1
        try:
            film = event.encoded_dataset()
            request: Any = event.request
            request.DataSet = None  # or there would be two of it
            if Head.read(film).is_other_than(
                request.AffectedSOPClassUID, request.AffectedSOPInstanceUID
            ):
                self._release()
                return self._count(Outcome.REFUSED, "other-object", OTHER_OBJECT)
            future = self._pool.submit(self._work.do, film, deadline)
        except BaseException:
            self._release()
            raise
        future.add_done_callback(self._release)
        return self._status(future, deadline)

    def _status(self, future: Future[Outcome], deadline: float) -> int:
        try:
            outcome = future.result(max(deadline - time.monotonic(), 0))
        except FutureTimeoutError:  # it goes on, and its result is stored: the same comes again
            self._metrics.failures.labels("hold-time").inc()
            return OUT_OF_RESOURCES
        except (TryLaterError, SlowFilmError):
            return OUT_OF_RESOURCES
        except Exception:
            return CANNOT_UNDERSTAND
        return CANNOT_UNDERSTAND if outcome is Outcome.REFUSED else DONE

    def _count(self, outcome: Outcome, reason: str, status: int) -> int:
        self._metrics.films.labels(outcome).inc()
        self._metrics.failures.labels(reason).inc()
        return status

    def _release(self, _: Any = None) -> None:  # noqa: ANN401 - a future of any kind
        with self._lock:
            self._films -= 1
