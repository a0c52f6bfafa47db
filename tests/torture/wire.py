"""Raw HTTP over loopback: bytes as they are, from an address of one's own, and what comes back."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

READ_BYTES: Final = 2**16
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_BIND_ADDRESS_NO_PORT: Final = 24  # ip(7): one port serves many destinations
_RESET: Final = struct.pack("ii", 1, 0)  # socket(7), SO_LINGER: closing resets
_PATIENCE_SECONDS: Final = 60.0


def post(body: bytes, *headers: str, path: str = "/segment") -> bytes:
    """A POST of HTTP/1.1 with its body; the connection is not kept."""
    lines = ["Host: 127.0.0.1", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return f"POST {path} HTTP/1.1\r\n".encode() + "\r\n".join([*lines, "", ""]).encode() + body


def statuses_of(received: bytes) -> list[int]:
    """The status of each answer in what came."""
    return [int(status) for status in _STATUS.findall(received)]


@asynccontextmanager
async def connected(
    port: int, source: str, receive_bytes: int | None = None
) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    """A connection, which is reset at the end so that no port waits for late segments.

    Args:
        port: on 127.0.0.1.
        source: address to come from.
        receive_bytes: of the socket's buffer; the system's own if absent.

    Raises:
        OSError: if nobody listens.
    """
    end = socket.socket()
    end.setblocking(False)
    end.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    if receive_bytes is not None:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    try:
        end.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=end)
    except BaseException:
        end.close()
        raise
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def heard(reader: StreamReader, quiet_seconds: float) -> bytes:
    """All that comes until the end, or until nothing more follows an answer that is whole."""
    received, patience = bytearray(), _PATIENCE_SECONDS
    with suppress(OSError, TimeoutError):
        while True:
            async with asyncio.timeout(patience):
                part = await reader.read(READ_BYTES)
            if not part:
                break
            received += part
            if patience > quiet_seconds and _is_whole(received):
                patience = quiet_seconds
    return bytes(received)


def _is_whole(received: bytearray) -> bool:
    end = received.find(b"\r\n\r\n")
    length = _LENGTH.search(received, 0, end) if end >= 0 else None
    return length is not None and len(received) - end - 4 >= int(length[1])
