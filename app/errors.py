"""Errors of HTTP alone: what is wrong with a request before there is an image."""

from __future__ import annotations

from typing import ClassVar

from solo.errors import SoloError


class HttpError(SoloError):
    """A request that gets no answer.

    Attributes:
        challenge: the WWW-Authenticate header; None where no credentials would help.
        hangs_up: whether the connection ends with the answer, without the rest of the request.
    """

    challenge: ClassVar[str | None] = None
    hangs_up: ClassVar[bool] = False


class UnauthorizedError(HttpError):
    """No key, or one that is not known."""

    kind = "unauthorized"
    title = "A key is needed"
    challenge = 'Bearer realm="solo-xray"'


class TooSlowError(HttpError):
    """The rest of a request did not come; whoever sends it is cut off."""

    kind = "too-slow"
    title = "The request came too slowly"
    hangs_up = True


class BodyTooLargeError(HttpError):
    """Over the byte limit."""

    kind = "body-too-large"
    title = "The request has too many bytes"


class UnsupportedMediaTypeError(HttpError):
    """A media type that the service does not read."""

    kind = "unsupported-media-type"
    title = "The media type is not supported"


class BodiesFullError(HttpError):
    """The bodies of all requests together take as much memory as they may."""

    kind = "bodies-full"
    title = "Too many requests are being received"
    retry_after_seconds = 1


class KeyRateError(HttpError):
    """A key asks more often than it may."""

    kind = "key-rate"
    title = "The key asks too often"
    retry_after_seconds = 1


class HeadTooLargeError(HttpError):
    """The request line and the headers are too long."""

    kind = "head-too-large"
    title = "The headers have too many bytes"
    hangs_up = True


class ClientGoneError(HttpError):
    """Nobody is left to answer; the status is for logs and metrics only."""

    kind = "client-gone"
    title = "The client has gone"
