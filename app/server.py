"""The HTTP server, with a graceful shutdown that loses no answer."""

from __future__ import annotations

import gc
import socket
from time import monotonic
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from app.http.connection import Connection
from app.listeners import open_listeners
from app.service import Service

_FLUSH_SECONDS = 2


class DrainingServer(uvicorn.Server):
    """Uvicorn with graceful shutdown: on a signal it says so, finishes, then closes its socket.

    Uvicorn closes the socket at once, which hides the reason from probes and clients alike, and
    then ends by the signal; a stop that went well is exit code 0.

    Args:
        config: of the server.
        service: what is drained. Its settings say for how long it stays a lame duck, and for how
            long it drains then; requests in flight after that are answered with 503, for which
            another two seconds remain.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service, self._settings = service, service.settings
        self._leaves: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens the socket; the kernel cuts off who does not take an answer (RFC 5482)."""
        await super().startup(sockets)
        milliseconds = round(self._settings.client_seconds * 1000)
        for listener in sockets or ():
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to drain; a second signal ends at once."""
        del sig, frame
        if self._leaves is not None:
            self.should_exit = self.force_exit = True
            return
        self._leaves = monotonic() + self._settings.lame_duck_seconds
        self._service.lifecycle.leave()
        if self._settings.lame_duck_seconds == 0:
            self._service.lifecycle.drain()

    async def on_tick(self, counter: int) -> bool:
        """Looks ten times a second whether the last request is answered or the time is up."""
        if self._service.lifecycle.fatal is not None:
            self.should_exit = True
        elif self._leaves is not None and monotonic() >= self._leaves:
            self._service.lifecycle.drain()
            expired = monotonic() >= self._leaves + self._settings.drain_seconds
            if expired:
                self._service.abandon()
            self.should_exit |= expired or self._service.lifecycle.requests_in_flight == 0
        return await super().on_tick(counter)


def run_server(app: Starlette, listeners: list[socket.socket] | None = None) -> str | None:
    """Serves until a signal comes.

    Args:
        app: of `create_app`.
        listeners: sockets that are open already; None opens those of the settings.

    Returns:
        Why the process had to end by itself, or None.
    """
    service: Service = app.state.service
    settings = service.settings
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Connection.bounded(settings.client_seconds, service.metrics, app.state.policies),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody asks for a client's address
        headers=app.state.security_headers,
        timeout_graceful_shutdown=_FLUSH_SECONDS,
    )
    # What there is by now stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    DrainingServer(config, service).run(listeners or open_listeners(settings.host, settings.port))
    return service.lifecycle.fatal
