"""Reads the files of a request, in memory only: an upload is a patient's and never touches a disk.

The byte limit holds while reading, whatever Content-Length says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)
from starlette.requests import Request

from app.errors import (
    BodyTooLargeError,
    EmptyError,
    MalformedError,
    ServiceError,
    UnsupportedMediaTypeError,
)

MULTIPART: Final = "multipart/form-data"
SNIFFED: Final = "application/octet-stream"
FILE_TYPES: Final = ("application/dicom", "image/png", "image/jpeg", SNIFFED)
MAX_PARTS: Final = 100


@dataclass(frozen=True)
class UploadedFile:
    """One file of a request.

    Attributes:
        data: its bytes.
        refusal: why it is not to be decoded, or None.
    """

    data: bytes
    refusal: ServiceError | None = None


@dataclass(frozen=True)
class Upload:
    """The files of a request, in order; `in_parts` if they came as multipart/form-data."""

    files: list[UploadedFile]
    in_parts: bool


async def read_upload(request: Request, max_body_bytes: int) -> Upload:
    """Reads a request's body.

    The media type says whether a file is welcome. What it is, its bytes say.

    Raises:
        UnsupportedMediaTypeError: for another media type or a compressed body.
        BodyTooLargeError: beyond the byte limit.
        MalformedError: for a broken multipart body, or one without files.
    """
    media_type, options = parse_options_header(request.headers.get("content-type", SNIFFED))
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise UnsupportedMediaTypeError(
            "a compressed body is not supported: send it without a Content-Encoding"
        )
    chunks = _limited(request, max_body_bytes)
    if media_type != MULTIPART:
        check_media_type(media_type)
        return Upload([UploadedFile(b"".join([chunk async for chunk in chunks]))], in_parts=False)
    try:
        return Upload(await _read_parts(chunks, options.get("boundary", "")), in_parts=True)
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
        # A media type has a fixed alphabet (RFC 6838 4.2); what has not is not repeated.
        plain = media_type.isascii() and media_type.replace("/", "").isprintable()
        name = media_type if plain and len(media_type) <= 127 else "this"
        raise UnsupportedMediaTypeError(
            f"media type {name} is not supported; supported are {', '.join(FILE_TYPES)}, and "
            f"{MULTIPART} of these"
        )


async def _limited(request: Request, limit: int) -> AsyncIterator[bytes]:
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise BodyTooLargeError(f"the body has {int(announced):,} bytes; at most {limit:,} may be")
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit:
            raise BodyTooLargeError(f"the body has more than the {limit:,} bytes that it may")
        if chunk:
            yield chunk


async def _read_parts(chunks: AsyncIterator[bytes], boundary: str) -> list[UploadedFile]:
    """The files among the parts; a part with neither file name nor type is a form's field."""
    files: list[UploadedFile] = []
    parts: list[bytes] = []
    segment: MultipartSegment | None = None
    with PushMultipartParser(boundary, max_segment_count=MAX_PARTS) as parser:
        async for chunk in chunks:
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    segment, parts = event, []
                elif event is not None:
                    parts.append(bytes(event))
                elif segment is not None and _is_file(segment):
                    files.append(_file(b"".join(parts), segment.content_type))
    if not files:
        raise EmptyError(
            "the multipart body has no files: a file is a part with a file name or a Content-Type"
        )
    return files


def _is_file(segment: MultipartSegment) -> bool:
    return segment.filename is not None or segment.content_type is not None


def _file(data: bytes, media_type: str | None) -> UploadedFile:
    try:
        check_media_type(media_type or SNIFFED)
    except UnsupportedMediaTypeError as refusal:
        return UploadedFile(data, refusal)
    return UploadedFile(data)
