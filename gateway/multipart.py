"""Multipart bodies of DICOMweb (PS3.18 8.6.1, RFC 2387): written with one part, and read."""

from __future__ import annotations

import uuid
from email.message import Message
from typing import Final

DICOM: Final = "application/dicom"


def related(part: bytes) -> tuple[str, bytes]:
    """A body of one DICOM object, with its media type.

    One object a request: an archive may answer 400 for a good object beside a bad one. The boundary
    is long and random: a short one may occur within the pixels.
    """
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode()
    body = b"".join((head, part, f"\r\n--{boundary}--\r\n".encode()))
    return f'multipart/related; type="{DICOM}"; boundary={boundary}', body


def parts(media_type: str, body: bytes) -> list[bytes]:
    """The DICOM objects of an answer: of a multipart one, or the one that it is.

    Raises:
        ValueError: if it is neither.
    """
    message = Message()
    message["Content-Type"] = media_type
    kind = message.get_content_type()
    if kind == DICOM:
        return [body]
    boundary = message.get_param("boundary")
    if kind != "multipart/related" or not isinstance(boundary, str):
        raise ValueError("the answer is neither a DICOM object nor several")
    fence = f"\r\n--{boundary}".encode()
    pieces = (b"\r\n" + body).split(fence)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise ValueError("the answer has no parts, or no end")
    return [_content(piece) for piece in pieces[1:-1]]


def _content(piece: bytes) -> bytes:
    head, found, content = piece.partition(b"\r\n\r\n")
    if not found or len(head) > 4096:
        raise ValueError("a part has no end of its headers")
    return content
