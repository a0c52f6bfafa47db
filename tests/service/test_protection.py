"""Clients that are slow, greedy, or not HTTP at all, and browsers, against a real process."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.http.request_head import MAX_HEAD_BYTES
from app.keys import new_key
from tests.support.films import flat, png
from tests.support.processes import ServiceProcess, serving

FILM = png(flat(255))
KEY, LINE = new_key("clinic-a")
CLIENT_SECONDS = 0.5
POST = b"POST /segment HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def impatient(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    output = tmp_path_factory.mktemp("impatient") / "output"
    settings: dict[str, Any] = {"client_seconds": CLIENT_SECONDS, "decode_workers": 1}
    with serving(output, model=tiny_model, **settings) as running:
        yield running


def connect(service: ServiceProcess) -> socket.socket:
    address = httpx.URL(service.url)
    return socket.create_connection((address.host, address.port or 80), timeout=30)


def heard(connection: socket.socket) -> bytes:
    """All that comes until the service closes the connection."""
    received = b""
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:  # it had not read all that was sent
            return received
        if not part:
            return received
        received += part


def said(service: ServiceProcess, *parts: bytes) -> bytes:
    with connect(service) as connection:
        for part in parts:
            connection.sendall(part)
        return heard(connection)


def check_problem(answer: bytes, status: int, kind: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem = json.loads(body)
    assert (problem["status"], problem["type"]) == (status, f"urn:solo-xray:problem:{kind}")
    assert f"x-request-id: {problem['request_id']}" in head.decode()


CHUNKED, FORM = b"Transfer-Encoding: chunked", b"Content-Type: multipart/form-data; boundary=b"
LONG = b"Content-Length: 9000"
SILENT = {
    "first byte": b"P",
    "request line": POST,
    "half a header": POST + b"X-Slow: ",
    "no body": POST + LONG + b"\r\n\r\n",
    "start of a body": POST + LONG + b"\r\n\r\n\x89PNG",
    "chunk": POST + CHUNKED + b"\r\n\r\n4\r\n\x89PNG\r\n",
    "form": POST + FORM + b"\r\n" + LONG + b"\r\n\r\n--b\r\n",
    "no more than a question": POST + LONG + b"\r\nExpect: 100-continue\r\n\r\n",
}


def test_who_falls_silent_is_cut_off(impatient: ServiceProcess) -> None:
    """All at once, since each takes its time."""
    with ExitStack() as stack:
        connections = {name: stack.enter_context(connect(impatient)) for name in SILENT}
        for name, sent in SILENT.items():
            connections[name].sendall(sent)
        answers = {name: heard(connection) for name, connection in connections.items()}
    for answer in answers.values():
        check_problem(answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"), 408, "too-slow")


def test_headers_that_trickle_are_cut_off(impatient: ServiceProcess) -> None:
    with connect(impatient) as connection:
        connection.settimeout(CLIENT_SECONDS / 10)
        connection.sendall(POST)
        started, answer = time.monotonic(), b""
        while not answer:
            assert time.monotonic() - started < 20
            connection.sendall(b"x: y\r\n")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
    check_problem(answer, 408, "too-slow")


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_who_asks_nothing_is_left_without_a_word(impatient: ServiceProcess, sent: bytes) -> None:
    assert said(impatient, sent) == b""


def test_a_second_request_has_its_time_too(impatient: ServiceProcess) -> None:
    with connect(impatient) as connection:
        connection.sendall(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n")
        first = b""
        while not first.endswith(b'{"status":"alive"}'):
            first += connection.recv(65536)
        assert first.startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /heal")
        check_problem(heard(connection), 408, "too-slow")


@pytest.mark.parametrize(
    "start", [POST + b"X: ", b"GET /", POST + b"a: b\r\n" * 9000], ids=["header", "path", "headers"]
)
def test_an_endless_head_is_cut_off(impatient: ServiceProcess, start: bytes) -> None:
    """One byte too many: with more, the answer could be lost in a reset."""
    answer = said(impatient, start.ljust(MAX_HEAD_BYTES + 1, b"x"))
    check_problem(answer, 431, "head-too-large")


@pytest.mark.parametrize("start", [b"0\r\nX: ", b"1;"], ids=["trailer", "chunk extension"])
def test_what_is_endless_around_a_body_is_cut_off(impatient: ServiceProcess, start: bytes) -> None:
    with connect(impatient) as connection:
        connection.sendall(POST + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(start.ljust(MAX_HEAD_BYTES + 1, b"x"))
        check_problem(heard(connection), 431, "head-too-large")
    assert httpx.get(f"{impatient.url}/healthz/live").status_code == 200


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\0\x01\0\x01", b"GET / HTTP/9\r\n\r\n"])
def test_what_is_no_http_is_a_problem_too(impatient: ServiceProcess, sent: bytes) -> None:
    check_problem(said(impatient, sent), 400, "malformed")


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (b"http://localhost:1/model", b"elsewhere.example", 200),
        (b"http://elsewhere.example/model", b"localhost", 421),
        (b"/model", b"elsewhere.example", 421),
    ],
)
def test_the_host_of_a_target_counts(
    impatient: ServiceProcess, target: bytes, host: bytes, status: int
) -> None:
    head = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (target, host)
    assert said(impatient, head).startswith(b"HTTP/1.1 %d " % status)


def test_the_page_and_its_files_are_at_the_root(http: httpx.Client) -> None:
    for file in sorted((Path(__file__).parents[2] / "app" / "page").iterdir()):
        if file.suffix not in PAGE_TYPES:  # types for the checker alone
            assert http.get(f"/page/{file.name}").status_code == 404
            continue
        path = "/" if file.name == "index.html" else f"/page/{file.name}"
        answer = http.get(path)
        assert (answer.status_code, answer.content) == (200, file.read_bytes())
        assert answer.headers["content-type"].startswith(PAGE_TYPES[file.suffix])
        assert http.head(path).headers["content-length"] == str(file.stat().st_size)
    for path in (
        "/page",
        "/page/",
        "/page/index.html",
        "/page/..%2fmain.py",
        "/page/absent.js",
    ):
        assert http.get(path).status_code == 404
    assert not re.search(r"""(src|href)=["']?(/|\w+:)""", http.get("/").text)  # all of it relative


def sockets_of(service: ServiceProcess) -> int:
    count = 0
    for link in Path(f"/proc/{service.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(link).startswith("socket:")
    return count


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_who_does_not_take_the_answer_is_cut_off(impatient: ServiceProcess) -> None:
    """Far more is asked for than the kernel holds, and nothing of it is read."""
    script = b"GET /docs/files/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
    before = sockets_of(impatient)
    with connect(impatient) as connection:
        connection.sendall(script * 20)
        until(lambda: sockets_of(impatient) == before + 1)
        until(lambda: sockets_of(impatient) == before)
        assert len(heard(connection)) < 20 * 1_000_000


def test_bodies_have_a_limit_together(service: ServiceProcess, http: httpx.Client) -> None:
    held = POST + b"Content-Length: 2000000\r\n\r\n" + bytes(1_900_000)
    with connect(service) as connection:
        connection.sendall(held)
        until(lambda: "solo_body_bytes 1.9e+06" in http.get("/metrics").text)
        full = http.post("/segment", content=bytes(1_900_000))
        assert (full.status_code, full.headers["retry-after"]) == (429, "1")
        assert full.json()["type"] == "urn:solo-xray:problem:bodies-full"
        assert http.post("/segment", content=FILM).status_code == 200
    until(lambda: "solo_body_bytes 0.0" in http.get("/metrics").text)
    assert http.post("/segment", content=bytes(1_900_000)).status_code == 400


def test_what_was_refused_early_is_counted_and_logged(impatient: ServiceProcess) -> None:
    said(impatient, b"P")
    text = httpx.get(f"{impatient.url}/metrics").text
    for sample in ('requests_total{code="408",route="other"}', 'rejected_total{reason="too-slow"}'):
        (line,) = (line for line in text.splitlines() if line.startswith(f"solo_{sample} "))
        assert float(line.rpartition(" ")[2]) >= 1
    assert '"event": "refused"' in impatient.log()


def test_a_key_has_a_rate(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(LINE)
    limits: dict[str, Any] = {"keys_file": tmp_path / "keys", "key_rate": 0.01, "key_burst": 2}
    with serving(tmp_path / "output", model=tiny_model, decode_workers=1, **limits) as running:
        headers = {"authorization": f"Bearer {KEY}"}
        url = f"{running.url}/segment"
        answers = [httpx.post(url, content=FILM, headers=headers) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[-1].json()["type"] == "urn:solo-xray:problem:key-rate"
        assert 90 < int(answers[-1].headers["retry-after"]) <= 100
        assert httpx.post(url, content=FILM).status_code == 401
        metrics = httpx.get(f"{running.url}/metrics").text
        assert 'solo_rejected_total{reason="key-rate"} 1.0' in metrics
        assert '"error": "key-rate", "key": "clinic-a"' in running.log()


PAGE_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.mark.parametrize("path", ["/", "/segment", "/docs", "/metrics", "/model", "/absent"])
def test_every_answer_tells_a_browser_what_it_may_not_do(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert HEADERS.items() <= dict(answer.headers).items()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    trusted = "require-trusted-types-for 'script'; trusted-types 'none'"
    assert (trusted in policy) is (path != "/docs")  # whose library writes HTML
    assert ("sha256" in policy) is (path == "/docs")
    assert len(answer.headers.get_list("content-security-policy")) == 1
    assert "date" in answer.headers


def test_a_refusal_before_the_application_has_the_headers_too(impatient: ServiceProcess) -> None:
    answer = said(impatient, b"no http\r\n\r\n").decode()
    for name, value in HEADERS.items():
        assert f"\r\n{name}: {value}\r\n" in answer


def test_the_page_runs_under_its_policy(http: httpx.Client) -> None:
    answer = http.get("/docs")
    policy = answer.headers["content-security-policy"]
    scripts = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert scripts
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not re.search(r'<style|style="|\son\w+="|javascript:', answer.text)


def test_no_other_origin_may_read_an_answer(http: httpx.Client) -> None:
    origin = {"origin": "https://elsewhere.example"}
    asked = {"access-control-request-method": "POST"}
    preflight = http.options("/segment", headers=origin | asked)
    answers = [preflight, http.post("/segment", content=FILM, headers=origin)]
    assert [answer.status_code for answer in answers] == [405, 200]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]
