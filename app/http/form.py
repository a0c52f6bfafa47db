"""Forms (RFC 7578): the files among the parts of a multipart body."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from email.message import Message
from typing import Final

from multipart import MultipartSegment, PushMultipartParser

from app.http.media_types import SNIFFED, UploadedFile, has_signature, is_supported

MULTIPART: Final = "multipart/form-data"
MAX_PARTS: Final = 100

_MAX_HEADER_BYTES: Final = 64 * 1024
_FILE_NAME = re.compile(r';\s*filename\*?\s*=\s*(?!""|;|$)', re.IGNORECASE)


def boundary_of(content_type: str) -> bytes:
    """The boundary in a Content-Type, quoted or not; none is empty."""
    header = Message()
    header["content-type"] = content_type
    return (header.get_boundary() or "").encode("latin-1", "replace")


async def read_form(chunks: AsyncIterator[bytes], boundary: bytes) -> list[UploadedFile]:
    """Reads the files of a form, in order.

    Args:
        chunks: of the body.
        boundary: between its parts.

    Raises:
        MultipartError: for a body that is damaged, or has too many parts or too long a header.
    """
    delimiter = re.compile(rb"--" + re.escape(boundary) + rb"([ \t]*)\r\n")
    form, begin, first = _Form(boundary), b"", None
    async for chunk in chunks:
        begin += chunk
        first = delimiter.search(begin)
        if first or len(begin) > _MAX_HEADER_BYTES:
            break
    if first and first[1]:
        # Blanks behind a boundary are to be passed over (RFC 2046 section 5.1.1), which the parser
        # does not. Who writes them does so everywhere, and so seldom that it may take memory.
        begin = b"\r\n" + b"".join([begin, *[chunk async for chunk in chunks]])
        plain = b"\r\n--" + boundary + b"\r\n"
        begin = re.sub(rb"\r\n" + delimiter.pattern, lambda _: plain, begin)
    form.feed(begin)
    async for chunk in chunks:
        form.feed(chunk)
    return form.close()


class _Form:
    """A form on its way in.

    A name is never used, and latin-1 has a letter for every byte: no name can refuse a form.
    """

    def __init__(self, boundary: bytes) -> None:
        self._parser = PushMultipartParser(
            boundary,
            max_segment_count=MAX_PARTS,
            max_header_size=_MAX_HEADER_BYTES,
            header_charset="latin-1",
        )
        self._files: list[UploadedFile] = []
        self._pieces: list[bytes] = []
        self._part: MultipartSegment | None = None

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        for event in self._parser.parse(chunk):
            if isinstance(event, MultipartSegment):
                self._part, self._pieces = event, []
            elif event is not None:
                self._pieces.append(bytes(event))
            elif self._part is not None and _is_file(self._part, self._pieces):
                media_type = self._part.content_type or SNIFFED
                self._files.append(UploadedFile(self._pieces, media_type))

    def close(self) -> list[UploadedFile]:
        """The files, when all bytes were taken."""
        self._parser.close()
        return self._files


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
