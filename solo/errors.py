"""Everything that can go wrong with a request, as one tree.

Each error has a status, a stable type and a title of its class, and a sentence that names what was
wrong, the limit and the value. The sentence is written here or by the raiser, never by a library,
since a library may quote the file. Nothing of the patient belongs in it.
"""

from __future__ import annotations

from typing import ClassVar


class ServiceError(Exception):
    """A request, or one image of it, that gets no answer.

    Attributes:
        status: HTTP status.
        kind: last part of the problem's `type`; clients may rely on it.
        title: what all errors of the kind have in common.
        retry_after_seconds: when it is worth trying again; None where it is not.
        challenge: the WWW-Authenticate header; None where no credentials would help.
        hangs_up: whether the connection ends with the answer, without the rest of the request.
        detail: a sentence on this occurrence.
    """

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "internal"
    title: ClassVar[str] = "The service failed"
    retry_after_seconds: int | None = None
    challenge: ClassVar[str | None] = None
    hangs_up: ClassVar[bool] = False

    def __init__(self, detail: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if retry_after_seconds is not None:
            self.retry_after_seconds = retry_after_seconds

    @property
    def type(self) -> str:
        """The problem's `type` of RFC 9457."""
        return problem_type(self.kind)


def problem_type(kind: str) -> str:
    """The stable URN of a kind of problem."""
    return f"urn:solo-xray:problem:{kind}"


class MalformedError(ServiceError):
    """The bytes are not what they should be."""

    status = 400
    kind = "malformed"
    title = "The file or request is malformed"


class EmptyError(MalformedError):
    """There are no bytes at all."""

    kind = "empty"
    title = "There is nothing to segment"


class TruncatedError(MalformedError):
    """The file ends too early."""

    kind = "truncated"
    title = "The file is incomplete"


class DecoderCrashedError(MalformedError):
    """A decoder died of the file."""

    kind = "decoder-crashed"
    title = "The file broke its decoder"


class UnauthorizedError(ServiceError):
    """No key, or one that is not known."""

    status = 401
    kind = "unauthorized"
    title = "A key is needed"
    challenge = 'Bearer realm="solo-xray"'


class TooSlowError(ServiceError):
    """The rest of a request did not come; whoever sends it is cut off."""

    status = 408
    kind = "too-slow"
    title = "The request came too slowly"
    hangs_up = True


class BodyTooLargeError(ServiceError):
    """Over the byte limit."""

    status = 413
    kind = "body-too-large"
    title = "The request has too many bytes"


class ImageTooLargeError(ServiceError):
    """Over the pixel limit."""

    status = 413
    kind = "image-too-large"
    title = "The image has too many pixels"


class DecoderMemoryError(ImageTooLargeError):
    """Decoding needs more memory than one file may have."""

    kind = "decoder-memory"
    title = "The image takes too much memory"


class UnsupportedMediaTypeError(ServiceError):
    """A media type that the service does not read."""

    status = 415
    kind = "unsupported-media-type"
    title = "The media type is not supported"


class UnsupportedEncodingError(UnsupportedMediaTypeError):
    """A DICOM transfer syntax or a JPEG process that the service does not read."""

    kind = "unsupported-encoding"
    title = "The encoding of the pixels is not supported"


class NotSegmentableError(ServiceError):
    """A well-formed file that is no radiograph this service can segment."""

    status = 422
    kind = "not-segmentable"
    title = "The file is not a radiograph that can be segmented"


class InvalidParameterError(ServiceError):
    """A query parameter out of range."""

    status = 422
    kind = "invalid-parameter"
    title = "A parameter is out of range"


class QueueFullError(ServiceError):
    """More images are waiting than may wait."""

    status = 429
    kind = "queue-full"
    title = "The queue is full"
    retry_after_seconds = 1


class TooBusyError(ServiceError):
    """The wait would be longer than the request's deadline."""

    status = 429
    kind = "too-busy"
    title = "The deadline cannot be met"
    retry_after_seconds = 1


class BodiesFullError(ServiceError):
    """The bodies of all requests together take as much memory as they may."""

    status = 429
    kind = "bodies-full"
    title = "Too many requests are being received"
    retry_after_seconds = 1


class KeyRateError(ServiceError):
    """A key asks more often than it may."""

    status = 429
    kind = "key-rate"
    title = "The key asks too often"
    retry_after_seconds = 1


class HeadTooLargeError(ServiceError):
    """The request line and the headers are too long."""

    status = 431
    kind = "head-too-large"
    title = "The headers have too many bytes"
    hangs_up = True


class UnavailableError(ServiceError):
    """Not able to answer now."""

    status = 503
    kind = "unavailable"
    title = "The service cannot answer now"
    retry_after_seconds = 5


class StartingError(UnavailableError):
    """The model is not warm yet."""

    kind = "starting"
    title = "The service is starting"


class DrainingError(UnavailableError):
    """The service is stopping."""

    kind = "draining"
    title = "The service is stopping"


class ModelFailedError(UnavailableError):
    """The model failed on this image."""

    kind = "model-failed"
    title = "The model gave no answer"


class DecoderLostError(UnavailableError):
    """Somebody else ended the decoder; the file may be good."""

    kind = "decoder-lost"
    title = "The decoder was stopped"
    retry_after_seconds = 1


class DeadlineError(ServiceError):
    """No answer in time."""

    status = 504
    kind = "deadline"
    title = "The deadline has passed"


class ClientGoneError(ServiceError):
    """Nobody is left to answer; the status is for logs and metrics only."""

    status = 499
    kind = "client-gone"
    title = "The client has gone"


def error_classes(root: type[ServiceError] = ServiceError) -> list[type[ServiceError]]:
    """The error and everything below it in the tree."""
    return [root, *(found for child in root.__subclasses__() for found in error_classes(child))]
