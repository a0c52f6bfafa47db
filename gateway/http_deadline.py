"""HTTP connections that keep a deadline: a time-out of a socket begins anew with each byte.

Otherwise a peer that sends a byte now and then, in the lines of its head, keeps who asks for ever,
and one that takes a film in slowly is cut off after the time for connecting.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from socket import socket
from typing import Any, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# Of the question that this thread asks, on the clock of `time.monotonic`.
deadline_of_all: Final[ContextVar[float]] = ContextVar("deadline_of_all")


def _limit(connection: socket) -> None:
    left = deadline_of_all.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)


class _Reader(RawIOBase):
    """What comes from a connection, until the deadline."""

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb", buffering=0)  # keeps the socket open

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - a writable buffer
        _limit(self._connection)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket, *arguments: Any, **more: Any) -> None:  # noqa: ANN401
        super().__init__(sock, *arguments, **more)
        self.fp.close()
        self.fp = BufferedReader(_Reader(sock))


class _HttpConnection(HTTPConnection):
    response_class = _Response

    def send(self, data: Any) -> None:  # noqa: ANN401 - what http.client sends
        if self.sock is None:
            self.connect()
        _limit(self.sock)
        super().send(data)


class _HttpsConnection(HTTPSConnection):
    response_class = _Response

    def send(self, data: Any) -> None:  # noqa: ANN401 - what http.client sends
        if self.sock is None:
            self.connect()
        _limit(self.sock)
        super().send(data)


class HttpPool(HTTPConnectionPool):
    """Connections that keep the deadline."""

    ConnectionCls = _HttpConnection


class HttpsPool(HTTPSConnectionPool):
    """Connections over TLS that keep the deadline."""

    ConnectionCls = _HttpsConnection
