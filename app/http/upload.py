"""Uploads: the files of a request, in memory, since a patient's never touch a disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multipart import MultipartError, ParserLimitReached
from starlette.requests import Request

from app.errors import BodyTooLargeError, UnsupportedMediaTypeError
from app.http.body_limits import IncomingBody
from app.http.form import MAX_PARTS, MULTIPART, boundary_of, read_form
from app.http.media_types import SNIFFED, UploadedFile, repeatable
from solo.errors import EmptyError, MalformedError


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
            files = await read_form(chunks, boundary_of(content_type))
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
