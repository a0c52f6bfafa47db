"""Uploads: the files of a request, in memory, since a patient's never touch a disk.

A body is one file as it is, or a form (RFC 7578) with files among its parts.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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
MAX_ANNOTATION_BYTES: Final = 4 * 2**20  # ten times those of fifty lungs

_MAX_HEADER_BYTES: Final = 64 * 1024
_MAX_HEADERS: Final = 64  # of a part
_MAX_PREAMBLE_BYTES: Final = 4096  # in which a padded boundary is looked for, at each chunk anew
_NO_COMPRESSION: Final = {"", "identity", "none", "binary", "7bit", "8bit", "utf-8", "utf8"}
_CODING = re.compile(r"[a-z0-9-]{1,32}")
_AS_TEXT: Final = {"base64", "quoted-printable"}


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
    async with _reading(body):
        if media_type != MULTIPART:
            pieces = [chunk async for chunk in chunks]
            return Upload([UploadedFile(pieces, media_type)], in_parts=False)
        parts = _parts(chunks, _boundary_of(content_type))
        files = [_file(*part) async for part in parts if _is_file(*part)]
    if not files:
        raise EmptyError(
            "the multipart body has no files: a file is a part with a file name, or with the "
            "Content-Type or the bytes of a film"
        )
    return Upload(files, in_parts=True)


async def read_annotated_film(
    request: Request, headers: Mapping[str, str], body: IncomingBody
) -> tuple[UploadedFile, bytes]:
    """Reads a form of a film and its annotations, which its parts have the names of.

    Args:
        request: as for `read_upload`, like the others.
        headers: as there.
        body: as there.

    Raises:
        UnsupportedMediaTypeError: for a body that is no form, or is compressed.
        MalformedError: for a form in which one of the two is missing, or comes twice.
        BodyTooLargeError: for annotations of too many bytes; and what else `read_upload` raises.
    """
    content_type = headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != MULTIPART:
        raise UnsupportedMediaTypeError(f"a film and its annotations are sent as {MULTIPART}")
    _check_readable(MULTIPART, headers.get("content-encoding", ""))
    body.check_content_length(headers.get("content-length", ""))
    found: dict[str, tuple[MultipartSegment, list[bytes]]] = {}
    async with _reading(body):
        async for part, pieces in _parts(body.chunks(request.receive), _boundary_of(content_type)):
            name = _disposition(part).get_param("name", "", "content-disposition")
            if name not in ("film", "annotations"):
                continue
            if name in found:
                raise MalformedError(f"the form has more than one part {name}: send one of each")
            found[str(name)] = part, pieces
    for name in ("film", "annotations"):
        if not any(found.get(name, (None, []))[1]):
            raise MalformedError(
                f"the form has no part {name}, or an empty one: send the DICOM file as film, and "
                "a COCO document as annotations"
            )
    length = sum(map(len, found["annotations"][1]))
    if length > MAX_ANNOTATION_BYTES:
        raise BodyTooLargeError(
            f"the annotations have {length:,} bytes; at most {MAX_ANNOTATION_BYTES:,} may be"
        )
    return _file(*found["film"]), b"".join(found["annotations"][1])


@asynccontextmanager
async def _reading(body: IncomingBody) -> AsyncIterator[None]:
    """Gives what goes wrong while a body is read the errors of `read_upload`."""
    try:
        async with body.pace:
            yield
    except TimeoutError:
        raise body.too_slow() from None
    except ParserLimitReached:
        raise BodyTooLargeError(
            f"the multipart body has more than {MAX_PARTS} parts, or too many or too long headers"
        ) from None
    except MultipartError:
        raise MalformedError("the multipart body is damaged or incomplete") from None


def _check_readable(media_type: str, encodings: str) -> None:
    """Refuses what no file can be found in, before a byte is read."""
    for coding in {name.strip().lower() for name in encodings.split(",")} - _NO_COMPRESSION:
        name = coding if _CODING.fullmatch(coding) else "(malformed)"
        raise UnsupportedMediaTypeError(
            f"Content-Encoding {name} is not supported: send the body as it is, without one"
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


async def _parts(
    chunks: AsyncIterator[bytes], boundary: bytes
) -> AsyncIterator[tuple[MultipartSegment, list[bytes]]]:
    """The parts of a form, in order, with the pieces of their bytes.

    A name is never used, and latin-1 has a letter for every byte: no name can refuse a form.

    Args:
        chunks: of the body.
        boundary: between its parts.

    Raises:
        MultipartError: for a body that is damaged, or has too many parts or headers.
        MalformedError: without a boundary.
        UnsupportedMediaTypeError: for files in a part of parts.
    """
    if not boundary:
        raise MalformedError("the Content-Type names no boundary: let the client library set it")
    parser = _FormParser(
        boundary,
        max_segment_count=MAX_PARTS,
        max_header_count=_MAX_HEADERS,
        max_header_size=_MAX_HEADER_BYTES,
        header_charset="latin-1",
    )
    pieces: list[bytes] = []
    part: MultipartSegment | None = None
    async for chunk in _without_padding(chunks, boundary):
        for event in parser.parse(chunk):
            if isinstance(event, MultipartSegment):
                if (event.content_type or "").startswith("multipart/"):
                    raise UnsupportedMediaTypeError(
                        "files in a part of parts are not read: give each a part of its own"
                    )
                part, pieces = event, []
            elif event is not None:
                pieces.append(bytes(event))
            elif part is not None:
                yield part, pieces
    parser.close()


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
        if first or len(begin) > _MAX_PREAMBLE_BYTES:
            break
    if first and first[1]:
        begin = b"\r\n" + b"".join([begin, *[chunk async for chunk in chunks]])
        plain = b"\r\n--" + boundary + b"\r\n"
        begin = re.sub(rb"\r\n" + delimiter.pattern, lambda _: plain, begin)
    yield begin
    async for chunk in chunks:
        yield chunk


class _FormParser(PushMultipartParser):  # type: ignore[misc]  # the library has no types
    """A parser of parts of any disposition, or none: a file is told by more than that."""

    def _create_segment(self, headerlist: list[tuple[str, str]]) -> MultipartSegment:
        return MultipartSegment(headerlist)


def _is_file(part: MultipartSegment, pieces: list[bytes]) -> bool:
    """Whether a part is a file rather than a field or an input that was left empty.

    Whose bytes are those of a film is one. Else it is one that is damaged, or none, and then its
    name and its type tell: many clients give their fields a media type, and send JSON as a file.
    """
    media_type = part.content_type or ""
    name = (_disposition(part).get_filename("") or "").strip(" '")
    if has_signature(pieces):
        return True
    if name:
        return is_supported(media_type or SNIFFED) or not (name == "blob" or "json" in media_type)
    return any(pieces) and is_supported(media_type) and media_type != SNIFFED


def _disposition(part: MultipartSegment) -> Message:
    header = Message()
    header["content-disposition"] = part.header("Content-Disposition", "")
    return header


def _file(part: MultipartSegment, pieces: list[bytes]) -> UploadedFile:
    file = UploadedFile(pieces, part.content_type or SNIFFED)
    coding = (part.header("Content-Transfer-Encoding", "") or "").lower()
    if coding in _AS_TEXT:  # which HTTP does not need, and RFC 7578 section 4.7 deprecates
        file.refusal = UnsupportedMediaTypeError(
            f"Content-Transfer-Encoding {coding} is not supported: send the file's bytes"
        )
    return file
