"""HTTP/1.1 as RFC 9112 and RFC 9110 ask for it, directly and behind the shipped HAProxy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest

from tests.support.balancers import haproxy
from tests.support.processes import ServiceProcess
from tests.support.raw_http import exchange

GET = b"GET /model HTTP/1.1\r\n"
HOST = b"Host: x\r\n"
LAST = b"Connection: close\r\n\r\n"
POST = b"POST /segment HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
END = b"1\r\na\r\n0\r\n\r\n"
HIDDEN = b"GET /model HTTP/1.1\r\nHost: x\r\n\r\n"


class Refused(NamedTuple):
    """A request that is to be refused.

    Attributes:
        section: of RFC 9112 where it does not say otherwise.
        status: of the answer.
        kind: of the problem.
        repaired: whether HAProxy makes a good request of it.
    """

    section: str
    sent: bytes
    status: int = 400
    kind: str = "malformed"
    repaired: bool = False


def host(value: bytes) -> Refused:
    return Refused("3.2", GET + b"Host: " + value + b"\r\n\r\n")


def target(value: bytes, method: bytes = b"GET") -> Refused:
    return Refused("3.2", b"%b %b HTTP/1.1\r\n%b\r\n" % (method, value, HOST))


def version(value: bytes, *, repaired: bool = False) -> Refused:
    return Refused("2.3", b"GET /model %b\r\n%b\r\n" % (value, HOST), repaired=repaired)


def header(line: bytes, section: str = "5.1", *, repaired: bool = False) -> Refused:
    return Refused(section, GET + HOST + line + b"\r\n\r\n", repaired=repaired)


def framing(lines: bytes, section: str = "6.3", body: bytes = END) -> Refused:
    """With a request behind it, which is not to be answered."""
    return Refused(section, POST + lines + b"\r\n\r\n" + body + HIDDEN)


def coding(value: bytes, status: int = 501) -> Refused:
    kind = "not-implemented" if status == 501 else "malformed"
    return framing(b"Transfer-Encoding: " + value, "6.1")._replace(status=status, kind=kind)


def chunk(body: bytes, section: str = "7.1") -> Refused:
    return Refused(section, CHUNKED + body + HIDDEN)


REFUSED = {
    "no Host": Refused("3.2", GET + b"\r\n"),
    "two Hosts": Refused("3.2", GET + HOST + b"Host: y\r\n\r\n"),
    "the same Host twice": Refused("3.2", GET + HOST + HOST + b"\r\n", repaired=True),
    "two Hosts in HTTP/1.0": Refused(
        "3.2", GET.replace(b"1.1", b"1.0") + HOST + b"Host: y\r\n\r\n"
    ),
    "Host is empty": host(b""),
    "Host with userinfo": host(b"u@x"),
    "Host with a path": host(b"x/y"),
    "Host with a comma": host(b"x,y"),
    "Host with a space": host(b"x y"),
    "Host with a word for a port": host(b"x:http"),
    "Host that is a URI": host(b"http://x"),
    "Host with an open bracket": host(b"[::1"),
    "Host beyond ASCII": host("é".encode()),
    "Host after another name's space": header(b"Host : y"),
    "asterisk of GET": target(b"*"),
    "fragment": target(b"/model#x"),
    "another scheme": target(b"ftp://x/model"),
    "no slash": target(b"model"),
    "target of CONNECT": target(b"x:80"),
    "userinfo in the target": target(b"http://u@x/model"),
    "control character in the target": target(b"/mod\x01el"),
    "NUL in the target": target(b"/mod\0el"),
    "space in the target": target(b"/mod el"),
    "bytes beyond ASCII in the target": target("/é".encode()),
    "lower-case method": target(b"/model", b"get"),
    "method with a space": target(b"/model", b" GET"),
    "tunnel": target(b"x:80", b"CONNECT")._replace(
        section="RFC 9110, 9.3.6", status=501, kind="not-implemented"
    ),
    "HTTP/0.9": Refused("3", b"GET /model\r\n\r\n"),
    "HTTP/0.9 by name": version(b"HTTP/0.9"),
    "HTTP/1.10": version(b"HTTP/1.10"),
    "HTTP/2.0": version(b"HTTP/2.0", repaired=True),
    "HTTP/9.9": version(b"HTTP/9.9", repaired=True),
    "lower-case version": version(b"http/1.1"),
    "preface of HTTP/2": Refused("RFC 9113, 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
    "tab between the parts": Refused("3", b"GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n", repaired=True),
    "folded line": header(b"X: a\r\n b", "5.2", repaired=True),
    "folded transfer coding": framing(b"Transfer-Encoding:\r\n chunked", "5.2"),
    "space before the first header": Refused("2.2", GET + b" " + HOST + b"\r\n"),
    "space before the colon": header(b"X : a"),
    "no name": header(b": a"),
    "no colon": header(b"X"),
    "control character in a name": header(b"X\x01: a"),
    "control character in a value": header(b"X: a\x01b", "RFC 9110, 5.5"),
    "DEL in a value": header(b"X: a\x7fb", "RFC 9110, 5.5"),
    "NUL in a value": header(b"X: a\0b", "RFC 9110, 5.5"),
    "bare CR in a value": header(b"X: a\rb", "2.2"),
    "bare LF": Refused("2.2", (GET + HOST + b"\r\n").replace(b"\r\n", b"\n"), repaired=True),
    "both lengths": framing(b"Content-Length: 4\r\nTransfer-Encoding: chunked"),
    "both lengths, turned round": framing(b"Transfer-Encoding: chunked\r\nContent-Length: 4"),
    "two lengths": framing(b"Content-Length: 1\r\nContent-Length: 2"),
    "list of lengths": framing(b"Content-Length: 1, 2"),
    "signed length": framing(b"Content-Length: +1"),
    "negative length": framing(b"Content-Length: -1"),
    "hexadecimal length": framing(b"Content-Length: 0x1"),
    "length with an underscore": framing(b"Content-Length: 1_0"),
    "length without a number": framing(b"Content-Length: "),
    "length that overflows": framing(b"Content-Length: 18446744073709551617"),
    "unknown coding": coding(b"xchunked"),
    "compressed": coding(b"gzip, chunked"),
    "coding with a parameter": coding(b"chunked;q=1"),
    "chunked is not last": coding(b"chunked, gzip", 400),
    "chunked twice": coding(b"chunked, chunked", 400),
    "identity": coding(b"identity"),
    "no coding": coding(b"", 400),
    "vertical tab before the coding": coding(b"\x0bchunked", 400),
    "coding in HTTP/1.0": Refused("6.1", CHUNKED.replace(b"1.1", b"1.0") + END + HIDDEN),
    "chunk size with 0x": chunk(b"0x1\r\na\r\n0\r\n\r\n"),
    "negative chunk size": chunk(b"-1\r\na\r\n0\r\n\r\n"),
    "chunk size that overflows": chunk(b"10000000000000001\r\na\r\n0\r\n\r\n"),
    "chunk size with an underscore": chunk(b"1_0\r\na\r\n0\r\n\r\n"),
    "more in a chunk than its size": chunk(b"1\r\nabc\r\n0\r\n\r\n"),
    "chunk without an end": chunk(b"1\r\na0\r\n\r\n"),
    "chunks with bare LF": chunk(b"1\na\n0\n\n"),
    "extension without a name": chunk(b"1;\r\na\r\n0\r\n\r\n", "7.1.1"),
    "NUL in an extension": chunk(b"1;a\0b\r\na\r\n0\r\n\r\n", "7.1.1"),
    "bare CR in an extension": chunk(b"1;a\rb\r\na\r\n0\r\n\r\n", "2.2"),
    "bare LF in an extension": chunk(b"1;a\nb\r\na\r\n0\r\n\r\n", "2.2"),
    "length in a trailer": chunk(b"1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n", "6.5"),
    "long target": Refused(
        "3", b"GET /" + b"x" * 65_600 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    )._replace(status=431, kind="head-too-large"),
    "long header": header(b"X: " + b"x" * 65_600, "RFC 6585, 5")._replace(
        status=431, kind="head-too-large"
    ),
}

ANSWERED = {
    "HTTP/1.0 without Host": (GET.replace(b"1.1", b"1.0") + b"\r\n", 200),
    "Host with a port": (GET + b"Host: x:80\r\n" + LAST, 200),
    "Host with an empty port": (GET + b"Host: x:\r\n" + LAST, 200),
    "Host that is an address": (GET + b"Host: [::1]:80\r\n" + LAST, 200),
    "Host of a container": (GET + b"Host: my_solo.1-a\r\n" + LAST, 200),
    "absolute target": (b"GET http://y/model HTTP/1.1\r\n" + HOST + LAST, 200),
    "absolute target, other case": (b"GET HTTP://y:1/model HTTP/1.1\r\n" + HOST + LAST, 200),
    "absolute target without a path": (b"GET http://y HTTP/1.1\r\n" + HOST + LAST, 200),
    "asterisk of OPTIONS": (b"OPTIONS * HTTP/1.1\r\n" + HOST + LAST, 404),
    "empty line first": (b"\r\n" + GET + HOST + LAST, 200),
    "tabs around a value": (GET + b"Host:\t x\t\r\n" + LAST, 200),
    "bytes beyond ASCII in a value": (GET + HOST + b"X: \xe9\r\n" + LAST, 200),
    "close in a list": (GET + HOST + b"Connection: x, CLOSE\r\n\r\n" + HIDDEN, 200),
    "close in a second line": (
        GET + HOST + b"Connection: keep-alive\r\nConnection: close\r\n\r\n" + HIDDEN,
        200,
    ),
    "body of GET": (GET + HOST + b"Content-Length: %d\r\n" % len(HIDDEN) + LAST + HIDDEN, 200),
    "coding in capitals": (CHUNKED.replace(b"chunked", b"CHUNKED") + END, 400),
    "coding after a tab": (CHUNKED.replace(b" chunked", b"\tchunked") + END, 400),
    "coding after an empty element": (CHUNKED.replace(b" chunked", b" , chunked") + END, 400),
    "extensions": (CHUNKED + b'1;a=b;c="d e";f\r\na\r\n0\r\n\r\n', 400),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\nX: y\r\n\r\n", 400),
    "question in HTTP/1.0": (
        b"POST /segment HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
        400,
    ),
}
# HAProxy refuses what the service may not: a Host that is not the target's, an empty element.
STRICTER = {
    "absolute target": 400,
    "absolute target, other case": 400,
    "absolute target without a path": 400,
    "coding after an empty element": 422,
}


@pytest.fixture(scope="module")
def balanced(service: ServiceProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with haproxy(service.url, tmp_path_factory.mktemp("haproxy")) as url:
        yield url


@pytest.mark.parametrize("name", REFUSED)
def test_a_breach_is_refused_with_a_problem(service: ServiceProcess, name: str) -> None:
    case = REFUSED[name]
    before = rejected(service, case.kind)
    heard = exchange(service.url, case.sent)
    assert (heard.statuses, heard.kind) == ([case.status], case.kind), case.section
    assert b"\r\nconnection: close\r\n" in heard.raw
    assert b"\r\nx-content-type-options: nosniff\r\n" in heard.raw
    assert rejected(service, case.kind) == before + 1


def rejected(service: ServiceProcess, kind: str) -> float:
    sample = f'solo_rejected_total{{reason="{kind}"}} '
    lines = httpx.get(f"{service.url}/metrics").text.splitlines()
    return next(float(line.removeprefix(sample)) for line in lines if line.startswith(sample))


@pytest.mark.parametrize("name", REFUSED)
def test_a_breach_is_refused_behind_the_balancer(balanced: str, name: str) -> None:
    case = REFUSED[name]
    heard = exchange(balanced, case.sent)
    assert len(heard.statuses) <= 1, "what is hidden behind it was answered"
    if heard.statuses and not case.repaired:
        assert heard.statuses[0] >= 400, case.section


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_allowed_is_answered_once(service: ServiceProcess, name: str) -> None:
    sent, status = ANSWERED[name]
    heard = exchange(service.url, sent)
    assert heard.statuses == [status]
    if sent.startswith(b"POST"):
        assert b"the 1 bytes are none of DICOM" in heard.raw
        assert b"100 Continue" not in heard.raw


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_allowed_is_answered_behind_the_balancer(balanced: str, name: str) -> None:
    sent, status = ANSWERED[name]
    assert exchange(balanced, sent).statuses == [STRICTER.get(name, status)]
