"""Clients that post one film again and again over TLS, and what each request came to."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REQUEST_SECONDS = 60.0


@dataclass(frozen=True)
class Outcome:
    """A request's end.

    Attributes:
        started: `time.monotonic()` when it was sent.
        status: of the answer; 0 if there was none.
        detail: of the problem, or of the broken connection.
    """

    started: float
    status: int
    detail: str = ""


@dataclass(frozen=True)
class Client:
    """Asks the balancer over one connection that is kept alive.

    Attributes:
        port: where the balancer speaks TLS on this machine.
        certificate: the only one that is trusted.
        key: shown with each request, or None.
    """

    port: int
    certificate: Path
    key: str | None

    def connect(self) -> http.client.HTTPSConnection:
        """A connection to the balancer."""
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        return http.client.HTTPSConnection(
            "localhost", self.port, timeout=REQUEST_SECONDS, context=trusted
        )

    def ask(
        self, connection: http.client.HTTPConnection, path: str, body: bytes | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Sends a request; returns the status and the answer's JSON."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        with suppress(OSError):  # a refusal may come before the film was sent: read it all the same
            connection.request("POST" if body else "GET", path, body, headers)
        response = connection.getresponse()
        text = response.read()
        answer = json.loads(text) if text.startswith(b"{") else {"detail": text[:200].decode()}
        return response.status, answer

    def once(self, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """Sends a request over a connection of its own."""
        connection = self.connect()
        try:
            return self.ask(connection, path, body)
        finally:
            connection.close()


@dataclass
class Load:
    """Clients at work.

    Attributes:
        client: what each of them is.
        film: what each posts.
        outcomes: of all requests that ended.
    """

    client: Client
    film: bytes
    outcomes: list[Outcome] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, clients: int) -> None:
        """Starts the clients."""
        self._threads = [threading.Thread(target=self._post_on) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Waits until every client has its last answer."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def answered(self, since: float = 0.0) -> int:
        """Requests sent after a moment that were answered with 200."""
        return sum(o.status == 200 and o.started >= since for o in list(self.outcomes))

    def _post_on(self) -> None:
        connection = self.client.connect()
        while not self._stopped.is_set():
            started = time.monotonic()
            try:
                status, answer = self.client.ask(connection, "/segment", self.film)
                self.outcomes.append(Outcome(started, status, str(answer.get("detail", ""))))
                if status != 200:
                    time.sleep(0.2)  # as Retry-After asks for, and so that a failure is no flood
            except (OSError, http.client.HTTPException) as error:
                self.outcomes.append(Outcome(started, 0, repr(error)))
                connection.close()
                connection = self.client.connect()
        connection.close()


def until(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Waits for a condition.

    Raises:
        AssertionError: naming it, if it does not come true in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError, http.client.HTTPException):
            if condition():
                return
        time.sleep(0.25)
    raise AssertionError(f"not within {seconds:g} s: {what}")
