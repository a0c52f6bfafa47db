"""Answers of several parts (RFC 7578), sent piece by piece without a copy of what is large."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.errors import TooSlowError
from app.http.body_limits import BodyLimits
from app.http.http1 import DISCONNECTED, HANG_UP
from app.http.request_state import state_of
from app.http.upload import MULTIPART


@dataclass(frozen=True)
class Part:
    """One part of an answer; bytes that are no JSON come as a file, as browsers want them."""

    media_type: str
    content: bytes | memoryview

    def head(self, name: str) -> bytes:
        """Its header lines."""
        file = "" if self.media_type == "application/json" else f'; filename="{name}"'
        return (
            f'Content-Disposition: form-data; name="{name}"{file}\r\n'
            f"Content-Type: {self.media_type}\r\n\r\n"
        ).encode()


class FormDataResponse(Response):
    """An answer in parts; what it keeps is given back once it is sent, or cannot be sent.

    It counts as its client's until then, who has to take it at the least rate that a body has to
    come with: another `BodyLimits.least_bytes` within each `BodyLimits.seconds`, or the connection
    is cut.

    Args:
        parts: by name, in order.
        limits: of the bytes and the rate.
        client: who asked.
        kept: taken over, and closed at the end.

    Raises:
        BodiesFullError: if the client has not taken enough of earlier answers.
    """

    def __init__(
        self, parts: Mapping[str, Part], limits: BodyLimits, client: str, kept: AsyncExitStack
    ) -> None:
        boundary = secrets.token_hex(16)  # random: nobody can have written it into a film
        self._pieces: list[bytes | memoryview] = []
        for name, part in parts.items():
            head = f"--{boundary}\r\n".encode() + part.head(name)
            self._pieces += [head, part.content, b"\r\n"]
        self._pieces.append(f"--{boundary}--\r\n".encode())
        length = sum(map(len, self._pieces))
        kept.enter_context(limits.outgoing(client, length))
        self._limits, self._kept = limits, kept.pop_all()
        lengths = {"content-length": str(length)}
        super().__init__(headers=lengths, media_type=f"{MULTIPART}; boundary={boundary}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it, no faster than it is taken."""
        del receive
        async with self._kept:
            try:
                for message in self._messages():
                    async with asyncio.timeout(self._limits.seconds):
                        await send(message)
            except TimeoutError:
                state_of(Request(scope)).error = TooSlowError.kind
                await _hang_up(scope)

    def _messages(self) -> Iterator[Message]:
        yield {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        step = max(1, int(self._limits.least_bytes))
        for piece in self._pieces:
            for start in range(0, len(piece), step):
                part = piece[start : start + step]
                yield {"type": "http.response.body", "body": part, "more_body": True}
        yield {"type": "http.response.body", "body": b"", "more_body": False}


async def _hang_up(scope: Scope) -> None:
    if HANG_UP in scope["state"]:  # a connection of this server's
        scope["state"][HANG_UP]()
        await asyncio.wait({scope["state"][DISCONNECTED]})
