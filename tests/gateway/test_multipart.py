"""Multipart bodies: a worked example, what servers send, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.multipart import parts, related

TYPE = 'multipart/related; type="application/dicom"; boundary=x'


@given(st.binary())
def test_what_is_written_is_read(content: bytes) -> None:
    media_type, body = related(content)
    assert parts(media_type, body) == [content]


def test_a_single_object() -> None:
    assert parts("application/dicom; transfer-syntax=*", b"DICM") == [b"DICM"]


@pytest.mark.parametrize(
    ("media_type", "body", "found"),
    [
        (
            TYPE,
            b"--x\r\nContent-Type: a/b\r\n\r\none\r\n--x\r\nA: b\r\n\r\ntwo\r\n--x--",
            [b"one", b"two"],
        ),
        (TYPE, b"preamble\r\n--x\r\n\r\none\r\n--x--\r\nepilogue", [b"one"]),
        (TYPE.replace("=x", '="x"'), b"--x\r\n\r\n\r\n\r\n--x--", [b"\r\n"]),
        (TYPE.replace("multipart", "Multipart"), b"--x\r\nA: b\r\n\r\none\r\n--x--", [b"one"]),
    ],
)
def test_what_servers_send(media_type: str, body: bytes, found: list[bytes]) -> None:
    assert parts(media_type, body) == found


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("", b""),
        ("text/html", b"<html>"),
        ("multipart/related", b"--x\r\n\r\none\r\n--x--"),
        (TYPE, b""),
        (TYPE, b"--x--"),
        (TYPE, b"--x\r\nA: b\r\n\r\none"),
        (TYPE, b"--x\r\nno end of headers\r\n--x--"),
        (TYPE, b"--x\r\n" + b"A: b\r\n" * 10_000 + b"\r\none\r\n--x--"),
    ],
)
def test_what_is_no_answer(media_type: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"the answer|a part"):
        parts(media_type, body)
