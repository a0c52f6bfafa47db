"""Errors of HTTP alone, from before there is an image, and the statuses of all kinds."""

from __future__ import annotations

from typing import ClassVar, Final

from solo.errors import (
    AnnotationError,
    DeadlineError,
    ImageTooLargeError,
    InvalidParameterError,
    MalformedError,
    NoDicomResultError,
    NotSegmentableError,
    QueueFullError,
    SoloError,
    TooBusyError,
    UnavailableError,
    UnsupportedEncodingError,
    error_classes,
)


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


class CrossSiteError(HttpError, kind="cross-site", title="Another site's page asks"):
    """A browser asks for a page that is not the service's own."""


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


class MisdirectedError(HttpError, kind="misdirected", title="The host is not this service"):
    """A request for a host name that is not the service's."""


class HeadTooLargeError(HttpError, kind="head-too-large", title="The headers have too many bytes"):
    """The request line and the headers are too long."""

    hangs_up = True


class NotImplementedHereError(HttpError, kind="not-implemented", title="This is not implemented"):
    """A method or a transfer coding that the service does not have."""

    hangs_up = True


class ClientGoneError(HttpError, kind="client-gone", title="The client has gone"):
    """Nobody is left to answer; the status is for logs and metrics only."""


# Of several with one status the first names it in the description of the interface.
_STATUSES: Final[dict[type[SoloError], int]] = {
    MalformedError: 400,
    UnauthorizedError: 401,
    CrossSiteError: 403,
    TooSlowError: 408,
    BodyTooLargeError: 413,
    ImageTooLargeError: 413,
    UnsupportedMediaTypeError: 415,
    UnsupportedEncodingError: 415,
    MisdirectedError: 421,
    NotSegmentableError: 422,
    InvalidParameterError: 422,
    NoDicomResultError: 422,
    AnnotationError: 422,
    QueueFullError: 429,
    TooBusyError: 429,
    BodiesFullError: 429,
    KeyRateError: 429,
    HeadTooLargeError: 431,
    ClientGoneError: 499,
    NotImplementedHereError: 501,
    UnavailableError: 503,
    DeadlineError: 504,
}
_INTERNAL: Final = 500
KINDS: Final = frozenset(error.kind for error in error_classes())
CODES: Final = tuple(sorted({200, 404, 405, _INTERNAL, *_STATUSES.values()}))
TITLES: Final[dict[int, str]] = {
    _INTERNAL: SoloError.title,
    **{
        status: error.title
        for error, status in reversed(_STATUSES.items())
        if error is not ClientGoneError
    },
}
"""Title of each status in an answer, for the description of the interface."""


def status_of(error: SoloError | type[SoloError]) -> int:
    """The status of an error: that of the nearest class above it in the tree."""
    ancestors = error.mro() if isinstance(error, type) else type(error).mro()
    return next((_STATUSES[one] for one in ancestors if one in _STATUSES), _INTERNAL)
