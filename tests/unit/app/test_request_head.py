"""What `tests/service/test_conformance.py` cannot see: the head that the application is given."""

from __future__ import annotations

import pytest

from app.errors import HeadTooLargeError
from app.http.request_head import MAX_HEAD_BYTES, check_head


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"/a?b", b"/a?b", b"x"),
        (b"http://y:1/a?b", b"/a?b", b"y:1"),
        (b"HTTPS://[::1]?b", b"/?b", b"[::1]"),
        (b"http://y", b"/", b"y"),
    ],
)
def test_an_absolute_target_says_which_host_is_meant(
    target: bytes, path: bytes, host: bytes
) -> None:
    headers = [(b"host", b"x"), (b"a", b"b")]
    assert check_head(b"GET", target, "1.1", headers) == path
    assert headers == [(b"host", host), (b"a", b"b")]


def test_a_head_has_its_size_whatever_it_consists_of() -> None:
    room = MAX_HEAD_BYTES - len(b"hostx")
    assert check_head(b"GET", b"/".ljust(room, b"x"), "1.1", [(b"host", b"x")])
    for target, value in ((b"/".ljust(room + 1, b"x"), b""), (b"/", bytes(room))):
        with pytest.raises(HeadTooLargeError):
            check_head(b"GET", target, "1.1", [(b"host", b"x"), (b"", value)])
