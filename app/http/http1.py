"""HTTP/1.1 on one connection: Uvicorn's protocol, stricter with heads and deaf to upgrades."""

from __future__ import annotations

import asyncio
from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.request_head import check_head
from solo.errors import MalformedError, SoloError

DISCONNECTED: Final = "disconnected"
"""In the state of a scope: a future that is done when the connection is lost."""
HANG_UP: Final = "hang up"
"""In the state of a scope: cuts the connection off, whatever it has still to send."""
_PORTION_BYTES: Final = 8192
_BLANK_LINE: Final = b"\r\n\r\n"


class Http1Protocol(HttpToolsProtocol):
    """A connection that never leaves HTTP/1.1; `refuse` is what a subclass does with the rest.

    RFC 9110 section 7.8: who offers another protocol gets his answer in this one if the server does
    not change. httptools reads no body after such an offer, and Uvicorn would go on to read the
    body as requests (its #2722).

    Section 9.3.2 of RFC 9112: requests may come before the answers to earlier ones. They are parsed
    a few at a time, and wait as bytes: a request that Uvicorn has parsed takes a hundred times as
    much memory, and it reads on after each answer.
    """

    _unread: memoryview = memoryview(b"")
    _in_body = False
    _body_left = 0  # of the request that is being read, where its length is given

    def refuse(self, error: SoloError) -> None:
        """Answers without the application, and closes."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._disconnected = self.loop.create_future()

    def data_received(self, data: bytes) -> None:
        """Reads what is next, and keeps what follows for later."""
        self._unset_keepalive_if_required()
        self._unread = memoryview(bytes(self._unread) + data if self._unread else data)
        self._read()

    def on_response_complete(self) -> None:
        """Begins the next request that came already."""
        super().on_response_complete()
        if self._unread:
            self._unset_keepalive_if_required()
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets what was not read, and tells who waits."""
        self._unread = memoryview(b"")
        self._disconnected.set_result(None)
        super().connection_lost(exc)

    def parse(self, data: memoryview) -> None:
        """Feeds the parser."""
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            cause = error.__context__  # what a callback of the parser raised
            if not isinstance(cause, SoloError):
                cause = MalformedError("the bytes are not a request in HTTP/1.1")
            self.refuse(cause)

    def on_headers_complete(self) -> None:
        """Checks the head, and starts the application."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return  # the same head comes again, without the offer
        version = self.parser.get_http_version()
        self.url = check_head(self.parser.get_method(), self.url, version, self.headers)
        if version == "1.0":  # RFC 9110 section 10.1.1
            self.expect_100_continue = False
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        self._body_left = int(length)  # the parser has checked it
        self._in_body = True
        self.scope["state"][DISCONNECTED] = self._disconnected
        self.scope["state"][HANG_UP] = self.transport.abort
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Passes a part of the body on."""
        self._body_left -= len(body)
        if self._body_left or self.cycle.body:
            super().on_body(body)
        else:  # spares two copies of it, and pausing to read where nothing is left to be read
            self.cycle.body = body  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        """Ends the body."""
        if not self.parser.should_upgrade():
            self._in_body = False
            super().on_message_complete()

    def _read(self) -> None:
        while self._unread and not self.pipeline and not self.transport.is_closing():
            end = max(self._body_left, _PORTION_BYTES)
            if not self._in_body:  # alone a head leaves what came of its body in one piece
                begin = bytes(self._unread[:_PORTION_BYTES])
                end = begin.find(_BLANK_LINE) + len(_BLANK_LINE) if _BLANK_LINE in begin else end
            portion, self._unread = self._unread[:end], self._unread[end:]
            self.parse(portion)
        if self.transport.is_closing():
            self._unread = memoryview(b"")
        elif self._unread:
            self.flow.pause_reading()

    def _feed(self, data: memoryview) -> None:
        while (end := self._end_of_offer(data)) is not None:
            data = data[end:]  # the body and what follows
            head = self._head_without_offer()
            self.parser = httptools.HttpRequestParser(self)
            # As Uvicorn does: what follows a last request is passed over, and refuses nothing.
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)

    def _end_of_offer(self, data: memoryview) -> int | None:
        """Where in the data the head of a request with an offer ends; None if all is read."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            end: int = offer.args[0]
            return end
        return None

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])
