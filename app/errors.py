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


class UnauthorizedError(HttpError, kind="unauthorized", title="A key is needed"):
    """No key, or one that is not known."""

    challenge = 'Bearer realm="solo-xray"'


class TooSlowError(HttpError, kind="too-slow", title="The request came too slowly"):
    """The rest of a request did not come; whoever sends it is cut off."""

    hangs_up = True


class BodyTooLargeError(HttpError, kind="body-too-large", title="The request has too many bytes"):
    """Over the byte limit."""


class UnsupportedMediaTypeError(
    HttpError, kind="unsupported-media-type", title="The media type is not supported"
):
    """A media type that the service does not read."""


class BodiesFullError(
    HttpError, kind="bodies-full", title="Too many requests are being received", retry=1
):
    """The bodies of all requests together take as much memory as they may."""


class KeyRateError(HttpError, kind="key-rate", title="The key asks too often", retry=1):
    """A key asks more often than it may."""


class HeadTooLargeError(HttpError, kind="head-too-large", title="The headers have too many bytes"):
    """The request line and the headers are too long."""

    hangs_up = True


class ClientGoneError(HttpError, kind="client-gone", title="The client has gone"):
    """Nobody is left to answer; the status is for logs and metrics only."""
