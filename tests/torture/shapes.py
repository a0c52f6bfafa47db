"""Hostile shapes of HTTP: what parsers disagree on, and what is no HTTP at all."""

from __future__ import annotations

from typing import Final

from tests.torture.attack import NONE, Bar, attack
from tests.torture.siege import Siege

_POST: Final = b"POST /segment HTTP/1.1\r\nHost: 127.0.0.1\r\n"
_GET: Final = b"GET /healthz/live HTTP/1.1\r\nHost: 127.0.0.1\r\n"
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_HIDDEN: Final = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_HIDDEN_CHUNKED: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_HIDDEN), _HIDDEN)
_MEGABYTE: Final = b"a" * 2**20

FRAMING: Final = {
    "both lengths": _POST + b"Content-Length: 6\r\n" + _CHUNKED + b"\r\n0\r\n\r\n" + _HIDDEN,
    "both, chunks first": _POST + _CHUNKED + b"Content-Length: 6\r\n\r\n0\r\n\r\nX",
    "two lengths": _POST + b"Content-Length: 1\r\nContent-Length: 80\r\n\r\n" + _HIDDEN,
    "lengths in one header": _POST + b"Content-Length: 1, 1\r\n\r\nX",
    "signed length": _POST + b"Content-Length: +1\r\n\r\nX",
    "negative length": _POST + b"Content-Length: -1\r\n\r\n",
    "hexadecimal length": _POST + b"Content-Length: 0x10\r\n\r\n" + b"X" * 16,
    "length beyond 64 bits": _POST + b"Content-Length: 18446744073709551617\r\n\r\nX",
    "length with a space": _POST + b"Content-Length : 1\r\n\r\nX",
    "unknown coding": _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": _POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "coding after chunked": _POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "negative chunk": _POST + _CHUNKED + b"\r\n-1\r\nX\r\n0\r\n\r\n",
    "chunk beyond 64 bits": _POST + _CHUNKED + b"\r\n10000000000000001\r\nX\r\n0\r\n\r\n",
    "chunk without its end": _POST + _CHUNKED + b"\r\n1\r\nXX\r\n0\r\n\r\n",
    "bare LF in a chunk": _POST + _CHUNKED + b"\r\n1\nX\n0\n\n",
    "megabyte of extension": _POST + _CHUNKED + b"\r\n1;" + _MEGABYTE + b"\r\nX\r\n0\r\n\r\n",
    "megabyte of trailers": _POST + _CHUNKED + b"\r\n0\r\nX: " + _MEGABYTE + b"\r\n\r\n",
}
"""How long a body is (RFC 9112, 6 and 7)."""

HEADS: Final = {
    "folded header": _GET + b"X: a\r\n b\r\n\r\n",
    "bare LF": b"GET /healthz/live HTTP/1.1\nHost: 127.0.0.1\n\n",
    "bare CR": b"GET /healthz/live HTTP/1.1\rHost: 127.0.0.1\r\r",
    "NUL in a header": _GET + b"X: a\0b\r\n\r\n",
    "NUL in the path": b"GET /\0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "header without a name": _GET + b": a\r\n\r\n",
    "absolute form": b"GET http://127.0.0.1/healthz/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "absolute form elsewhere": b"GET http://example.org/metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    "authority form": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "no host": b"GET /metrics HTTP/1.1\r\n\r\n",
    "two hosts": _GET + b"Host: example.org\r\n\r\n",
    "a host of another": b"GET /metrics HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "version 9": b"GET / HTTP/9\r\nHost: 127.0.0.1\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "method of a megabyte": _MEGABYTE + b" / HTTP/1.1\r\n\r\n",
    "path of a megabyte": b"GET /" + _MEGABYTE + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "20,000 headers": _GET + b"X: y\r\n" * 20_000 + b"\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "TLS": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(500),
    "a TLS record later": _GET + b"X: \x16\x03\x01\r\n\r\n",
    "random bytes": bytes(range(256)) * 8,
    "expectation unknown": _POST + b"Expect: 200-ok\r\nContent-Length: 0\r\n\r\n",
    **{
        f"traversal by {way}": b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path.encode()
        for way, path in {
            "dots": "/docs/files/../../../../etc/passwd",
            "escaped dots": "/docs/files/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
            "escaped slashes": "/docs/files/..%2f..%2f..%2fetc%2fpasswd",
            "double escapes": "/docs/files/%252e%252e%252fetc%252fpasswd",
            "backslashes": "/docs/files/..\\..\\..\\etc\\passwd",
            "an absolute path": "/docs/files//etc/passwd",
        }.items()
    },
}
"""Request lines and headers (RFC 9112, 2 to 5), and other protocols."""

_SHAPES: Final = [*FRAMING.values(), *HEADS.values()]
_REFUSALS: Final = {400, 403, 404, 405, 411, 413, 414, 415, 417, 421, 431, 501, 505, NONE}


@attack(Bar.THREEFOLD, answers={200, *_REFUSALS})
async def shapes(siege: Siege) -> None:
    """200 hostile shapes of HTTP a second: lengths, chunks, heads, other protocols, traversal."""

    async def ask(number: int) -> None:
        answer = await siege.ask(_SHAPES[number % len(_SHAPES)])
        if b"root:" in answer:
            siege.tally.faults["a file got out"] += 1

    await siege.at_rate(200, ask, at_once=200)


@attack(Bar.THREEFOLD, answers=_REFUSALS)
async def upgrades(siege: Siege) -> None:
    """100 offers a second to change the protocol, each with a request hidden in its body."""
    offers = [
        _POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %b\r\n" % protocol
        for protocol in (b"h2c", b"websocket", b"foo")
    ]
    bodies = [
        (b"Content-Length: %d\r\n\r\n" % len(_HIDDEN), _HIDDEN),
        (_CHUNKED + b"\r\n", _HIDDEN_CHUNKED),
    ]

    async def ask(number: int) -> None:
        offer = offers[number % 3]
        rest, body = bodies[number // 3 % 2]
        request = offer + rest + body
        split = len(request) - 7 * number % len(body)  # no two in the same two segments
        await siege.ask(request[:split], request[split:])

    await siege.at_rate(100, ask)
