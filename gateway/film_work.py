"""The work on a film: segment it, store each result, and tell what became of it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from gateway.delivery import Delivery
from gateway.dicom_objects import Head
from gateway.log import write, write_fault
from gateway.metrics import Metrics
from gateway.outcomes import (
    EmptyFilmError,
    FaultyFilmError,
    FilmError,
    Outcome,
    RefusedFilmError,
    SlowFilmError,
    TryLaterError,
)
from gateway.segmentation import Segmentation


@dataclass(frozen=True)
class FilmWork:
    """What is done with each film; used by several threads at once.

    Nothing is kept: the film and its results are this call's variables. Doing it again stores the
    same objects under the same UIDs, which the archive has already.

    Attributes:
        segmentation: makes the results.
        delivery: stores them.
        kinds: of the results, in their order.
        metrics: counts.
    """

    segmentation: Segmentation
    delivery: Delivery
    kinds: tuple[str, ...]
    metrics: Metrics

    def do(self, film: bytes, deadline: float) -> Outcome:
        """Takes a film to its end.

        Args:
            film: a file (PS3.10).
            deadline: on the clock of `time.monotonic`.

        Returns:
            STORED, EMPTY, OWN or REFUSED.

        Raises:
            FaultyFilmError: if the film fails and the peers do not.
            TryLaterError: if a peer is busy or away.
        """
        begun = time.monotonic()
        outcome, reason = Outcome.FAILED, ""
        self.metrics.held.inc()
        try:
            with self.metrics.timed("total"):
                outcome, reason = self._outcome(film, deadline)
        except FilmError as error:
            later = isinstance(error, TryLaterError | SlowFilmError)
            outcome, reason = Outcome.LATER if later else Outcome.FAILED, error.reason
            self.metrics.failures.labels(reason).inc()
            raise
        except MemoryError as error:
            outcome, reason = Outcome.LATER, "memory"
            self.metrics.failures.labels(reason).inc()
            raise TryLaterError(reason) from error
        except Exception as error:
            outcome, reason = Outcome.FAILED, "internal"
            self.metrics.failures.labels(reason).inc()
            write_fault("a film failed within the gateway")
            raise FaultyFilmError(reason) from error
        finally:
            self.metrics.held.dec()
            self.metrics.films.labels(outcome).inc()
            write(
                "film",
                film=secrets.token_hex(8),
                outcome=outcome,
                reason=reason,
                bytes=len(film),
                seconds=round(time.monotonic() - begun, 4),
            )
        return outcome

    def _outcome(self, film: bytes, deadline: float) -> tuple[Outcome, str]:
        if Head.read(film).is_own():
            return Outcome.OWN, ""
        try:
            with self.metrics.timed("segment"):
                results = self.segmentation.results(film, deadline)
        except EmptyFilmError:
            return Outcome.EMPTY, ""
        except RefusedFilmError as error:
            self.metrics.refused.labels(error.reason).inc()
            return Outcome.REFUSED, error.reason
        with self.metrics.timed("deliver"):
            for kind, result in zip(self.kinds, results, strict=True):
                if time.monotonic() > deadline:
                    raise TryLaterError("hold-time")
                self.delivery.store(result, deadline)
                self.metrics.delivered.labels(kind).inc()
        self.metrics.last_delivery.set_to_current_time()
        return Outcome.STORED, ""
