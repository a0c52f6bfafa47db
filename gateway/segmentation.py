"""Client of `POST /segment`: a film to its result objects."""

from __future__ import annotations

import json
import time
from typing import Final

from gateway.dicom_objects import ResultObject
from gateway.http import Answer, Peer
from gateway.multipart import DICOM, parts
from gateway.outcomes import (
    EmptyFilmError,
    FaultyFilmError,
    RefusedFilmError,
    SlowFilmError,
    StartError,
    TryLaterError,
)

NOTHING_FOUND: Final = "nothing-found"
_OPERATORS: Final = frozenset({"no-codes", "invalid-parameter"})  # of no film's fault
_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_REFUSED: Final = frozenset({400, 413, 415, 422})
_LOST: Final = frozenset({"service-time", "service-lost"})  # what the film may have done


class Segmentation:
    """Asks the service for result objects.

    Args:
        service: where it is.
        kinds: of results, in the order of the service's answer.
        explicit: whether a SEG is wanted in Explicit VR Little Endian, and not deflated.
        orientation: whether it is wanted with the orientation that some viewers need.
    """

    def __init__(
        self, service: Peer, kinds: tuple[str, ...], explicit: bool, orientation: bool
    ) -> None:
        self._service, self._kinds = service, kinds
        self._path = f"/segment?kinds={','.join(kinds)}"
        if orientation:
            self._path += "&beyond_standard=orientation"
        one = f"{DICOM}; transfer-syntax={_EXPLICIT}" if explicit else DICOM
        self._accept = f'{one}, multipart/related; type="{DICOM}"'

    def check_model(self, deadline: float) -> None:
        """Asks which model answers, and whether its results can become objects.

        Raises:
            StartError: if a SEG is wanted and a class of the model has no codes.
            TryLaterError: if the service does not say.
        """
        answer = self._service.ask("GET", "/model", deadline)
        if answer.status != 200:
            raise TryLaterError("service-status", answer.retry_after_seconds)
        try:
            model = json.loads(answer.body)
            names, codes = model["class_names"], model.get("class_codes") or []
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TryLaterError("service-result") from error
        bare = [name for n, name in enumerate(names) if n >= len(codes) or not codes[n]]
        if "seg" in self._kinds and bare:
            raise StartError(
                f"the model has no codes for {', '.join(map(str, bare))}: export it with codes for "
                "every class, or ask for SOLO_GATEWAY_RESULTS=sc"
            )

    def results(self, film: bytes, deadline: float) -> list[ResultObject]:
        """Segments a film.

        Args:
            film: a file (PS3.10).
            deadline: on the clock of `time.monotonic`.

        Raises:
            EmptyFilmError: if nothing was found.
            RefusedFilmError: if it is no film that can be segmented.
            FaultyFilmError: if the service fails at it, or takes too long for it.
            TryLaterError: if the service is busy or away.
        """
        left = max(deadline - time.monotonic(), 0.001)
        headers = {
            "Accept": self._accept,
            "Content-Type": DICOM,
            "X-Request-Timeout-Seconds": f"{left:.3f}",
        }
        try:
            answer = self._service.ask("POST", self._path, deadline, headers, film)
        except TryLaterError as error:
            if error.reason in _LOST:
                raise SlowFilmError(error.reason) from error
            raise
        if answer.status != 200:
            raise _error(answer)
        try:
            objects = [ResultObject.read(part) for part in parts(answer.media_type, answer.body)]
        except ValueError as error:
            raise FaultyFilmError("service-result") from error
        if len(objects) != len(self._kinds):
            raise FaultyFilmError("service-result")
        return objects


def problem_kind(body: bytes) -> str:
    """The kind of a problem (RFC 9457): what follows the last colon of its type."""
    try:
        return str(json.loads(body)["type"]).rpartition(":")[2]
    except (ValueError, KeyError, TypeError):
        return ""


def _error(answer: Answer) -> Exception:
    if answer.status == 422 and problem_kind(answer.body) == NOTHING_FOUND:
        return EmptyFilmError(NOTHING_FOUND)
    if answer.status in _REFUSED and problem_kind(answer.body) not in _OPERATORS:
        return RefusedFilmError(str(answer.status))
    if answer.status == 500:
        return FaultyFilmError("service-error")
    if answer.status == 504:
        return SlowFilmError("service-time")
    busy = answer.status in (429, 503)
    return TryLaterError("service-busy" if busy else "service-status", answer.retry_after_seconds)
