"""Request heads: what RFC 9112 asks a server to refuse, and httptools lets through.

httptools itself refuses folded lines, control characters, and lengths that contradict each other.
"""

from __future__ import annotations

import re
from typing import Final

from app.errors import HeadTooLargeError, NotImplementedHereError
from solo.errors import MalformedError

MAX_HEAD_BYTES: Final = 64 * 1024

# A comma may stand in a name (RFC 3986 section 3.2.2), but rather is a proxy's join of two headers.
_HOST: Final = rb"(?:[\w.~!$&'()*+;=%-]+|\[[\w:.~%-]+\])(?::\d*)?"
_VALID_HOST: Final = re.compile(_HOST)
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://(%b)((?:[/?].*)?)" % _HOST, re.DOTALL)


def check_head(
    method: bytes, target: bytes, version: str, headers: list[tuple[bytes, bytes]]
) -> bytes:
    """Checks the head of a request.

    Args:
        method: as it came.
        target: as it came.
        version: such as 1.1.
        headers: names in lower case. Host becomes that of the target where this has one (RFC 9112
            section 3.2.2).

    Returns:
        The target in origin form, or `*`.

    Raises:
        MalformedError: if it is none of HTTP/1.0 or HTTP/1.1.
        HeadTooLargeError: if it has more than `MAX_HEAD_BYTES`.
        NotImplementedHereError: if it asks for a tunnel or a transfer coding other than `chunked`.
    """
    if len(target) + sum(len(name) + len(value) for name, value in headers) > MAX_HEAD_BYTES:
        raise HeadTooLargeError(f"the request has more than {MAX_HEAD_BYTES:,} bytes of headers")
    if version not in {"1.0", "1.1"}:  # section 2.3
        raise MalformedError("the service speaks HTTP/1.1, and the request is of another version")
    if method == b"CONNECT":  # RFC 9110 section 9.3.6
        raise NotImplementedHereError("the service is no proxy, and opens no tunnel")
    _check_host(version, headers)
    _check_transfer_coding(version, headers)
    return _origin_form(method, target, headers)


def _check_host(version: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Section 3.2: one valid Host, which HTTP/1.0 may leave out; an http URI's is not empty."""
    hosts = [value.strip(b" \t") for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise MalformedError(f"a request has one Host header, and this one has {len(hosts)}")
    if hosts and _VALID_HOST.fullmatch(hosts[0]) is None:
        raise MalformedError("the Host header is not the name of a host, with or without a port")


def _check_transfer_coding(version: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Section 6.1: none in HTTP/1.0; section 7: names are compared without regard to case."""
    values = [value for name, value in headers if name == b"transfer-encoding"]
    if not values:
        return
    if version == "1.0":
        raise MalformedError("HTTP/1.0 has no transfer codings")
    codings = [coding.strip(b" \t") for coding in b",".join(values).lower().split(b",")]
    if [coding for coding in codings if coding] != [b"chunked"]:
        raise NotImplementedHereError("of the transfer codings only 'chunked' is read")


def _origin_form(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Section 3.2: the asterisk is for OPTIONS alone, and no target has a fragment."""
    if (method, target) == (b"OPTIONS", b"*"):
        return target
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise MalformedError("the target of the request is neither a path nor an http URI")
        headers[:] = [(n, absolute[1] if n == b"host" else v) for n, v in headers]
        target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    if b"#" in target:
        raise MalformedError("the target of the request has a fragment")
    return target
