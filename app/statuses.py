"""HTTP statuses of the kinds of error."""

from __future__ import annotations

from typing import Final

from app.errors import (
    BodiesFullError,
    BodyTooLargeError,
    ClientGoneError,
    HeadTooLargeError,
    KeyRateError,
    TooSlowError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)
from solo.errors import (
    DeadlineError,
    ImageTooLargeError,
    InvalidParameterError,
    MalformedError,
    NotSegmentableError,
    QueueFullError,
    SoloError,
    TooBusyError,
    UnavailableError,
    UnsupportedEncodingError,
    error_classes,
)

# Of several with one status the first names it in the description of the interface.
_STATUSES: Final[dict[type[SoloError], int]] = {
    MalformedError: 400,
    UnauthorizedError: 401,
    TooSlowError: 408,
    BodyTooLargeError: 413,
    ImageTooLargeError: 413,
    UnsupportedMediaTypeError: 415,
    UnsupportedEncodingError: 415,
    NotSegmentableError: 422,
    InvalidParameterError: 422,
    QueueFullError: 429,
    TooBusyError: 429,
    BodiesFullError: 429,
    KeyRateError: 429,
    HeadTooLargeError: 431,
    ClientGoneError: 499,
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
