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

    def __init_subclass__(
        cls, kind: str | None = None, title: str | None = None, retry: int | None = None
    ) -> None:
        cls.kind, cls.title = kind or cls.kind, title or cls.title
        cls.retry_after_seconds = retry or cls.retry_after_seconds

    def __init__(self, detail: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if retry_after_seconds is not None:
            self.retry_after_seconds = retry_after_seconds


class MalformedError(SoloError, kind="malformed", title="The file or request is malformed"):
    """The bytes are not what they should be."""


class EmptyError(MalformedError, kind="empty", title="There is nothing to segment"):
    """There are no bytes at all."""


class TruncatedError(MalformedError, kind="truncated", title="The file is incomplete"):
    """The file ends too early."""


class DecoderCrashedError(
    MalformedError, kind="decoder-crashed", title="The file broke its decoder"
):
    """A decoder died of the file."""


class ImageTooLargeError(SoloError, kind="image-too-large", title="The image has too many pixels"):
    """Over the pixel limit."""


class DecoderMemoryError(
    ImageTooLargeError, kind="decoder-memory", title="The image takes too much memory"
):
    """Decoding needs more memory than one file may have."""


class UnsupportedEncodingError(
    SoloError, kind="unsupported-encoding", title="The encoding of the pixels is not supported"
):
    """A DICOM transfer syntax or a JPEG process that is not read."""


class NotSegmentableError(
    SoloError, kind="not-segmentable", title="The file is not a radiograph that can be segmented"
):
    """A well-formed file that is no radiograph that can be segmented."""


class NoDicomResultError(
    SoloError, kind="no-dicom-result", title="There can be no DICOM object of this result"
):
    """A film or a result that a DICOM object cannot be made of."""


class AnnotationError(
    SoloError, kind="bad-annotations", title="The annotations cannot be used for the film"
):
    """Annotations that are none of the film, or none that can be read."""


class NothingFoundError(
    NoDicomResultError,
    kind="nothing-found",
    title="Nothing was found, and there is no object of it",
):
    """A film without instances: it was segmented, and DICOM has no object of that."""


class NoCodesError(NoDicomResultError, kind="no-codes", title="A class of the model has no codes"):
    """A class whose codes the model's manifest does not have."""


class InvalidParameterError(
    SoloError, kind="invalid-parameter", title="A parameter is out of range"
):
    """A parameter out of range."""


class QueueFullError(SoloError, kind="queue-full", title="The queue is full", retry=1):
    """More images are waiting than may wait."""


class TooBusyError(SoloError, kind="too-busy", title="The deadline cannot be met", retry=1):
    """The wait would be longer than the request's deadline."""


class UnavailableError(
    SoloError, kind="unavailable", title="The service cannot answer now", retry=5
):
    """Not able to answer now."""


class StartingError(UnavailableError, kind="starting", title="The service is starting"):
    """The model is not warm yet."""


class DrainingError(UnavailableError, kind="draining", title="The service is stopping"):
    """The service is stopping."""


class ModelFailedError(UnavailableError, kind="model-failed", title="The model gave no answer"):
    """The model failed on this image."""


class DecoderLostError(
    UnavailableError, kind="decoder-lost", title="The decoder was stopped", retry=1
):
    """Somebody else ended the decoder; the file may be good."""


class DeadlineError(SoloError, kind="deadline", title="The deadline has passed"):
    """No answer in time."""


def error_classes(root: type[SoloError] = SoloError) -> list[type[SoloError]]:
    """The error and everything below it in the tree."""
    return [root, *(found for child in root.__subclasses__() for found in error_classes(child))]
