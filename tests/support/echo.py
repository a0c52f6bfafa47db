"""The server in this process, with an application that tells which requests came."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.http.connection import Connection
from app.metrics import Metrics
from tests.support.engines import manifest

Seen = tuple[str, str, bytes]
"""Method, path and body of a request."""


class _Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self._closing = True

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Echo:
    """Answers 200 to every request, and keeps what the application saw.

    Attributes:
        seen: the requests of the last connection.
        written: all that was answered on it.
    """

    def __init__(self) -> None:
        self._config = uvicorn.Config(
            self._answer, interface="asgi3", ws="none", log_config=None, access_log=False
        )
        metrics = Metrics(CollectorRegistry(), manifest(), (1,), (), 1)
        self._protocol: Any = Connection.bounded(60, metrics, {})
        self._state = ServerState()
        self.seen: list[Seen] = []
        self.written = b""

    async def hear(self, *parts: bytes) -> list[Seen]:
        """Takes each part as a segment of its own on a new connection, and answers all."""
        self.seen, wire = [], _Wire()
        connection = self._protocol(self._config, self._state, {}, asyncio.get_running_loop())
        connection.connection_made(wire)
        for part in parts:
            if not wire.is_closing():
                connection.data_received(part)
                await asyncio.sleep(0)
        while self._state.tasks:
            # An application that still waits for a body is told that nothing more will come.
            done, _ = await asyncio.wait(self._state.tasks, timeout=0.05)
            if not done:
                break
        connection.connection_lost(None)
        while self._state.tasks:
            await asyncio.wait(self._state.tasks)
        self.written = wire.written
        return self.seen

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        self.seen.append((scope["method"], scope["path"], body))
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
