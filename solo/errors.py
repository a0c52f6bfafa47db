"""Everything that can go wrong with an image, as one tree of error kinds.

Each error has a stable kind and a title of its class, and a sentence that names what was wrong, the
limit and the value. The sentence is written here or by the raiser, never by a library, since a
library may quote the file. Nothing of the patient belongs in it. Doors give kinds their statuses.
"""

from __future__ import annotations

from typing import ClassVar


class SoloError(Exception):
    """An image that gets no result.

    Attributes:
        kind: stable name of what went wrong; callers may rely on it.
        title: what all errors of the kind have in common.
        retry_after_seconds: when it is worth trying again; None where it is not.
        detail: a sentence on this occurrence.
    """

    kind: ClassVar[str] = "internal"
    title: ClassVar[str] = "The service failed"
    retry_after_seconds: int | None = None

    def __init__(self, detail: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if retry_after_seconds is not None:
            self.retry_after_seconds = retry_after_seconds


class MalformedError(SoloError):
    """The bytes are not what they should be."""

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


class ImageTooLargeError(SoloError):
    """Over the pixel limit."""

    kind = "image-too-large"
    title = "The image has too many pixels"


class DecoderMemoryError(ImageTooLargeError):
    """Decoding needs more memory than one file may have."""

    kind = "decoder-memory"
    title = "The image takes too much memory"


class UnsupportedEncodingError(SoloError):
    """A DICOM transfer syntax or a JPEG process that is not read."""

    kind = "unsupported-encoding"
    title = "The encoding of the pixels is not supported"


class NotSegmentableError(SoloError):
    """A well-formed file that is no radiograph that can be segmented."""

    kind = "not-segmentable"
    title = "The file is not a radiograph that can be segmented"


class InvalidParameterError(SoloError):
    """A parameter out of range."""

    kind = "invalid-parameter"
    title = "A parameter is out of range"


class QueueFullError(SoloError):
    """More images are waiting than may wait."""

    kind = "queue-full"
    title = "The queue is full"
    retry_after_seconds = 1


class TooBusyError(SoloError):
    """The wait would be longer than the request's deadline."""

    kind = "too-busy"
    title = "The deadline cannot be met"
    retry_after_seconds = 1


class UnavailableError(SoloError):
    """Not able to answer now."""

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


class DeadlineError(SoloError):
    """No answer in time."""

    kind = "deadline"
    title = "The deadline has passed"


def error_classes(root: type[SoloError] = SoloError) -> list[type[SoloError]]:
    """The error and everything below it in the tree."""
    return [root, *(found for child in root.__subclasses__() for found in error_classes(child))]
