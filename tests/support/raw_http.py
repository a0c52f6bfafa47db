"""Bytes as they are, to a server and back: for requests that no client library would send."""

from __future__ import annotations

import json
import re
import socket
from contextlib import suppress
from typing import NamedTuple

import httpx

_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Heard(NamedTuple):
    """What came back until the server closed the connection.

    Attributes:
        statuses: of all answers, 100 left out.
        raw: all bytes.
    """

    statuses: list[int]
    raw: bytes

    @property
    def kind(self) -> str:
        """Of the last answer, which is a problem."""
        urn: str = json.loads(self.raw.rpartition(b"\r\n\r\n")[2])["type"]
        return urn.rpartition(":")[2]


def exchange(url: str, *parts: bytes, seconds: float = 20) -> Heard:
    """Sends each part in a segment of its own, and listens until the server closes.

    Raises:
        TimeoutError: if it stays open for so long.
    """
    address, raw = httpx.URL(url), b""
    with socket.create_connection((address.host, address.port or 80), seconds) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionResetError, BrokenPipeError):  # it answers before it has read all
            for part in parts:
                connection.sendall(part)
        with suppress(ConnectionResetError):
            while received := connection.recv(65536):
                raw += received
    return Heard([int(code) for code in _ANSWER.findall(raw) if code != b"100"], raw)
