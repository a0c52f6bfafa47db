"""HTTP/1.1 on one connection: Uvicorn's protocol, stricter with heads and deaf to upgrades."""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.request_head import check_head
from solo.errors import MalformedError, SoloError


class Http1Protocol(HttpToolsProtocol):
    """A connection that never leaves HTTP/1.1; `refuse` is what a subclass does with the rest.

    RFC 9110 section 7.8: who offers another protocol gets his answer in this one if the server does
    not change. httptools reads no body after such an offer, and Uvicorn would go on to read the
    body as requests (its #2722).
    """

    def refuse(self, error: SoloError) -> None:
        """Answers without the application, and closes."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """Feeds the parser."""
        self._unset_keepalive_if_required()
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
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Ends the body."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _feed(self, data: bytes | memoryview) -> None:
        while (end := self._end_of_offer(data)) is not None:
            data = memoryview(data)[end:]  # the body and what follows
            head = self._head_without_offer()
            self.parser = httptools.HttpRequestParser(self)
            # As Uvicorn does: what follows a last request is passed over, and refuses nothing.
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)

    def _end_of_offer(self, data: bytes | memoryview) -> int | None:
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
