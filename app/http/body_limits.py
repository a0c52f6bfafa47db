"""Body limits: bytes of one body and of all together, and a least rate (slow clients).

The limits hold while reading, whatever Content-Length says. Answers that are large count in limits
of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from starlette.types import Receive

from app.errors import BodiesFullError, BodyTooLargeError, ClientGoneError, TooSlowError

# Half a megabit a second: less than any line over which films are worth sending.
LEAST_BYTES_PER_SECOND: Final = 64 * 1024


class BodyLimits:
    """The limits of all bodies, of requests or of answers.

    Args:
        max_body_bytes: of one body.
        max_bodies_bytes: of all bodies that are in memory at once; each is until its answer. A
            client may hold half of it, or one body, so that its slow uploads refuse nobody else's.
        seconds: within so long a body that is not complete has to bring another
            `LEAST_BYTES_PER_SECOND` times as many bytes. What came early buys no silence later.
        of: what the bodies are, for sentences.

    Attributes:
        least_bytes: what has to come within each `seconds`.
        held_bytes: of bodies that are in memory now.
    """

    def __init__(
        self, max_body_bytes: int, max_bodies_bytes: int, seconds: float, of: str = "requests"
    ) -> None:
        self.max_body_bytes = max_body_bytes
        self.max_bodies_bytes = max_bodies_bytes
        self.seconds = seconds
        self._of = of
        self.least_bytes = LEAST_BYTES_PER_SECOND * seconds
        self.held_bytes = 0
        self._share_bytes = max(max_body_bytes, max_bodies_bytes // 2)
        self._held_by: dict[str, int] = {}

    @contextmanager
    def incoming(self, client: str = "") -> Iterator[IncomingBody]:
        """Counts a client's body in from its first byte, and out when its request is answered."""
        body = IncomingBody(self, client)
        try:
            yield body
        finally:
            self.take(client, -body.received_bytes)

    @contextmanager
    def outgoing(self, client: str, length: int) -> Iterator[None]:
        """Counts an answer until it is taken: slow clients fill their own share and no other's.

        Raises:
            BodiesFullError: as `check_room`, but where nothing is held one of any length is sent.
        """
        if self.held_bytes:
            self.check_room(client, length)
        self.take(client, length)
        try:
            yield
        finally:
            self.take(client, -length)

    def check_room(self, client: str, length: int) -> None:
        """Refuses what is more than there is room for.

        Raises:
            BodiesFullError: for so many bytes of a client beyond those that are held.
        """
        held, limit = self.held_bytes, self.max_bodies_bytes
        if held + length > limit:
            raise BodiesFullError(
                f"{held:,} bytes of {self._of} are in memory, and at most {limit:,} may be"
            )
        held, limit = self._held_by.get(client, 0), self._share_bytes
        if held + length > limit:
            raise BodiesFullError(
                f"{held:,} bytes of this client's {self._of} are in memory, and at most {limit:,} "
                "may be"
            )

    def take(self, client: str, length: int) -> None:
        """Counts so many bytes in; out, below 0."""
        self.held_bytes += length
        held = self._held_by.pop(client, 0) + length
        if held:
            self._held_by[client] = held


class IncomingBody:
    """One body on its way in.

    Args:
        limits: what it is counted in.
        client: whose body it is.

    Attributes:
        received_bytes: so far.
        pace: the time that is left for more of it; to be entered around the reading.
    """

    def __init__(self, limits: BodyLimits, client: str) -> None:
        self.received_bytes = 0
        self.pace = asyncio.timeout(limits.seconds)
        self._limits, self._client = limits, client
        self._recent_bytes = 0

    def check_content_length(self, length: str) -> None:
        """Refuses early what cannot be taken in, before a byte is read.

        Only what has come counts as held: a large announcement takes nobody's place.

        Args:
            length: the request's Content-Length.

        Raises:
            BodyTooLargeError: beyond the limit of one body.
            BodiesFullError: beyond what is left of the limit of all, or of the client.
        """
        if not length.isdecimal():
            return
        limit = self._limits.max_body_bytes
        if int(length) > limit:
            raise BodyTooLargeError(f"the body has {int(length):,} bytes; at most {limit:,} may be")
        self._limits.check_room(self._client, int(length))

    async def chunks(self, receive: Receive) -> AsyncIterator[bytes]:
        """The body, piece by piece.

        Raises:
            BodyTooLargeError: beyond the limit of one body.
            BodiesFullError: beyond the limit of all, or of the client.
            ClientGoneError: if the client left.
        """
        limit, more = self._limits.max_body_bytes, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError("the client left before its request was complete")
            more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                if self.received_bytes + len(chunk) > limit:
                    raise BodyTooLargeError(
                        f"the body has more than the {limit:,} bytes that it may"
                    )
                self._take(len(chunk))
                yield chunk

    def too_slow(self) -> TooSlowError:
        """The error of a body whose time is up."""
        seconds = self._limits.seconds
        return TooSlowError(
            f"{self._recent_bytes:,} bytes came in {seconds:g} s; a body that is not complete has "
            f"to bring {self._limits.least_bytes:,.0f}"
        )

    def _take(self, length: int) -> None:
        self._limits.check_room(self._client, length)
        self._limits.take(self._client, length)
        self.received_bytes += length
        self._recent_bytes += length
        if self._recent_bytes >= self._limits.least_bytes:
            self._recent_bytes = 0
            self.pace.reschedule(asyncio.get_running_loop().time() + self._limits.seconds)
