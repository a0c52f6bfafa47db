"""A client that costs little itself: one connection, prepared bytes, no parsing but the length."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """A request to repeat.

    Attributes:
        host: where the server listens.
        port: where the server listens.
        request: all bytes of the request.
    """

    host: str
    port: int
    request: bytes

    @classmethod
    def post(cls, url: str, body: bytes, content_type: str) -> Target:
        """A POST request of HTTP/1.1 on a connection that stays open."""
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return cls(host, port, head.encode() + body)


@dataclass(frozen=True)
class Reply:
    """An answer: its status and body; status 0 for a connection that broke."""

    status: int
    body: bytes = b""


class Connection(asyncio.Protocol):
    """One connection that asks one thing at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._reply: asyncio.Future[Reply] | None = None
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    async def open(cls, target: Target, source: str | None = None) -> Connection:
        """Connects, from an address of this machine if one is given.

        Raises:
            OSError: if nobody listens.
        """
        loop = asyncio.get_running_loop()
        own = None if source is None else (source, 0)
        _, connection = await loop.create_connection(cls, target.host, target.port, local_addr=own)
        return connection

    async def ask(self, target: Target) -> Reply:
        """Sends the request and waits for its answer."""
        self._reply = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            return Reply(0)
        self._transport.write(target.request)
        return await self._reply

    def close(self) -> None:
        """Closes the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`; answers without a length are not understood."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        length = _LENGTH.search(self._received, 0, end) if end >= 0 else None
        if length is None:
            return
        whole = end + 4 + int(length[1])
        if len(self._received) >= whole:
            status = int(self._received[9:12])
            self._settle(Reply(status, bytes(self._received[end + 4 : whole])))
            self._received.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        del exc
        self._settle(Reply(0))

    def _settle(self, reply: Reply) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(reply)
