"""Uploads: the files of a request, in memory, since a patient's never touch a disk."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)
from starlette.requests import Request

from app.errors import BodyTooLargeError, UnsupportedMediaTypeError
from app.http.body_limits import IncomingBody
from solo.errors import EmptyError, MalformedError, SoloError
from solo.file import RadiographFile

MULTIPART: Final = "multipart/form-data"
SNIFFED: Final = "application/octet-stream"
FILE_TYPES: Final = ("application/dicom", "image/png", "image/jpeg", "image/tiff", SNIFFED)
MAX_PARTS: Final = 100

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")


class UploadedFile(RadiographFile):
    """One file of a request.

    Args:
        pieces: its bytes, as they came in.
        refusal: why it is not to be decoded, or None.
    """

    def __init__(self, pieces: Sequence[bytes], refusal: SoloError | None = None) -> None:
        super().__init__(pieces)
        self.refusal = refusal


@dataclass(frozen=True)
class Upload:
    """The files of a request, in order; `in_parts` if they came as multipart/form-data."""

    files: list[UploadedFile]
    in_parts: bool


async def read_upload(request: Request, headers: Mapping[str, str], body: IncomingBody) -> Upload:
    """Reads a request's body.

    The media type says whether a file is welcome. What it is, its bytes say.

    Args:
        request: whose body was not read yet.
        headers: of the request, by their names in lower case.
        body: holds its limits while it comes.

    Raises:
        UnsupportedMediaTypeError: for another media type or a compressed body.
        BodyTooLargeError: beyond the byte limit of one body.
        BodiesFullError: beyond that of all bodies.
        TooSlowError: for a client that falls silent.
        MalformedError: for a broken multipart body, or one without files.
    """
    media_type, options = parse_options_header(headers.get("content-type", SNIFFED))
    encoding = headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise UnsupportedMediaTypeError(
            "a compressed body is not supported: send it without a Content-Encoding"
        )
    if media_type != MULTIPART:
        check_media_type(media_type)
    body.check_content_length(headers.get("content-length", ""))
    chunks = body.chunks(request.receive)
    try:
        async with body.pace:
            if media_type != MULTIPART:
                return Upload([UploadedFile([chunk async for chunk in chunks])], in_parts=False)
            return Upload(await _read_parts(chunks, options.get("boundary", "")), in_parts=True)
    except TimeoutError:
        raise body.too_slow() from None
    except ParserLimitReached:
        raise BodyTooLargeError(
            f"the multipart body has more than {MAX_PARTS} parts or too long a header"
        ) from None
    except MultipartError:
        raise MalformedError("the multipart body is damaged or incomplete") from None


def check_media_type(media_type: str) -> None:
    """Refuses what no decoder reads.

    Raises:
        UnsupportedMediaTypeError: naming the type.
    """
    if (media_type or SNIFFED) not in FILE_TYPES:
        # A media type has a fixed alphabet (RFC 6838 4.2); what is none is not repeated.
        name = media_type if _MEDIA_TYPE.fullmatch(media_type) else "(malformed)"
        raise UnsupportedMediaTypeError(
            f"media type {name} is not supported; supported are {', '.join(FILE_TYPES)}, and "
            f"{MULTIPART} of these"
        )


async def _read_parts(chunks: AsyncIterator[bytes], boundary: str) -> list[UploadedFile]:
    """The files among the parts; a part with neither file name nor type is a form's field."""
    files: list[UploadedFile] = []
    pieces: list[bytes] = []
    segment: MultipartSegment | None = None
    with PushMultipartParser(boundary, max_segment_count=MAX_PARTS) as parser:
        async for chunk in chunks:
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    segment, pieces = event, []
                elif event is not None:
                    pieces.append(bytes(event))
                elif segment is not None and _is_file(segment):
                    files.append(UploadedFile(pieces, _refusal(segment.content_type or SNIFFED)))
    if not files:
        raise EmptyError(
            "the multipart body has no files: a file is a part with a file name or a Content-Type"
        )
    return files


def _is_file(segment: MultipartSegment) -> bool:
    return segment.filename is not None or segment.content_type is not None


def _refusal(media_type: str) -> SoloError | None:
    try:
        check_media_type(media_type)
    except UnsupportedMediaTypeError as refusal:
        return refusal
    return None
