"""Uploads: the files of a request, in memory, since a patient's never touch a disk.

A body is one file as it is, or a form (RFC 7578) with files among its parts.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Final

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser
from starlette.requests import Request

from app.errors import BodyTooLargeError, UnsupportedMediaTypeError
from app.http.body_limits import IncomingBody
from app.http.media_types import SNIFFED, UploadedFile, has_signature, is_supported, repeatable
from solo.errors import EmptyError, MalformedError

MULTIPART: Final = "multipart/form-data"
MAX_PARTS: Final = 100

_MAX_HEADER_BYTES: Final = 64 * 1024
_FILE_NAME = re.compile(r';\s*filename\*?\s*=\s*(?!""|;|$)', re.IGNORECASE)


@dataclass(frozen=True)
class Upload:
    """The files of a request, in order; `in_parts` if they came as multipart/form-data."""

    files: list[UploadedFile]
    in_parts: bool


async def read_upload(request: Request, headers: Mapping[str, str], body: IncomingBody) -> Upload:
    """Reads a request's body.

    Args:
        request: whose body was not read yet.
        headers: of the request, by their names in lower case.
        body: holds its limits while it comes.

    Raises:
        UnsupportedMediaTypeError: for another multipart type or a compressed body.
        BodyTooLargeError: beyond the byte limit of one body.
        BodiesFullError: beyond that of all bodies.
        TooSlowError: for a client that falls silent.
        MalformedError: for a broken multipart body, or one without files.
    """
    content_type = headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower() or SNIFFED
    _check_readable(media_type, headers.get("content-encoding", ""))
    body.check_content_length(headers.get("content-length", ""))
    chunks = body.chunks(request.receive)
    try:
        async with body.pace:
            if media_type != MULTIPART:
                pieces = [chunk async for chunk in chunks]
                return Upload([UploadedFile(pieces, media_type)], in_parts=False)
            files = await _read_form(chunks, _boundary_of(content_type))
    except TimeoutError:
        raise body.too_slow() from None
    except ParserLimitReached:
        raise BodyTooLargeError(
            f"the multipart body has more than {MAX_PARTS} parts or too long a header"
        ) from None
    except MultipartError:
        raise MalformedError("the multipart body is damaged or incomplete") from None
    if not files:
        raise EmptyError(
            "the multipart body has no files: a file is a part with a file name, or with the "
            "Content-Type or the bytes of a film"
        )
    return Upload(files, in_parts=True)


def _check_readable(media_type: str, encodings: str) -> None:
    """Refuses what no file can be found in, before a byte is read."""
    if {name.strip().lower() for name in encodings.split(",")} - {"", "identity"}:
        raise UnsupportedMediaTypeError(
            "a compressed body is not supported: send it without a Content-Encoding"
        )
    if media_type.startswith("multipart/") and media_type != MULTIPART:
        raise UnsupportedMediaTypeError(
            f"media type {repeatable(media_type)} is not supported: send one file as the body, or "
            f"files as {MULTIPART}"
        )


def _boundary_of(content_type: str) -> bytes:
    """The boundary in a Content-Type, quoted or not; none is empty."""
    header = Message()
    header["content-type"] = content_type
    return (header.get_boundary() or "").encode("latin-1", "replace")


async def _read_form(chunks: AsyncIterator[bytes], boundary: bytes) -> list[UploadedFile]:
    """Reads the files of a form, in order.

    A name is never used, and latin-1 has a letter for every byte: no name can refuse a form.

    Args:
        chunks: of the body.
        boundary: between its parts.

    Raises:
        MultipartError: for a body that is damaged, or has too many parts or too long a header.
    """
    parser = PushMultipartParser(
        boundary,
        max_segment_count=MAX_PARTS,
        max_header_size=_MAX_HEADER_BYTES,
        header_charset="latin-1",
    )
    files: list[UploadedFile] = []
    pieces: list[bytes] = []
    part: MultipartSegment | None = None
    async for chunk in _without_padding(chunks, boundary):
        for event in parser.parse(chunk):
            if isinstance(event, MultipartSegment):
                part, pieces = event, []
            elif event is not None:
                pieces.append(bytes(event))
            elif part is not None and _is_file(part, pieces):
                files.append(UploadedFile(pieces, part.content_type or SNIFFED))
    parser.close()
    return files


async def _without_padding(chunks: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[bytes]:
    """A form without blanks behind its boundaries, over which the parser does not pass.

    RFC 2046 section 5.1.1 wants that. Who writes them does so everywhere, and so seldom that it may
    take memory.
    """
    delimiter = re.compile(rb"--" + re.escape(boundary) + rb"([ \t]*)\r\n")
    begin, first = b"", None
    async for chunk in chunks:
        begin += chunk
        first = delimiter.search(begin)
        if first or len(begin) > _MAX_HEADER_BYTES:
            break
    if first and first[1]:
        begin = b"\r\n" + b"".join([begin, *[chunk async for chunk in chunks]])
        plain = b"\r\n--" + boundary + b"\r\n"
        begin = re.sub(rb"\r\n" + delimiter.pattern, lambda _: plain, begin)
    yield begin
    async for chunk in chunks:
        yield chunk


def _is_file(part: MultipartSegment, pieces: list[bytes]) -> bool:
    """Whether a part is a file rather than a field or an input that was left empty.

    Many clients give their fields a media type and some give their files no name, so that a part
    without one is a file if its type is one of those that are read, or its bytes are.
    """
    disposition = part.header("Content-Disposition", "")
    if _FILE_NAME.search(disposition):
        return True
    if not pieces and "filename" in disposition.lower():
        return False
    return is_supported(part.content_type or "") or has_signature(pieces)
