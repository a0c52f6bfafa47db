"""HTTP: one deadline for the whole question, whatever the peer does, and reasons that are true."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from gateway.http import Peer
from gateway.outcomes import TryLaterError

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@contextmanager
def peer(behave: Callable[[socket.socket], None], scheme: str = "http") -> Iterator[str]:
    """A server that does with each connection what it likes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        behave(connection)

        Thread(target=serve, daemon=True).start()
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def drips(begin: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.recv(2**16)
        connection.sendall(begin)
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            connection.sendall(drop)
            time.sleep(0.02)

    return behave


@pytest.mark.parametrize(
    "behave",
    [
        drips(b"HTTP/1.1 200 ", b"a"),
        drips(OK + b"X: ", b"a"),
        drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drips(OK + b"Content-Length: 1000\r\n\r\n", b"a"),
        drips(CHUNKED, b"0"),
        drips(CHUNKED + b"1\r\na\r\n0\r\n", b"X: y\r\n"),
        lambda _: time.sleep(1),  # takes nothing in
    ],
)
def test_a_peer_that_does_not_end_keeps_nobody(behave: Callable[[socket.socket], None]) -> None:
    with peer(behave) as url:
        begun = time.monotonic()
        with pytest.raises(TryLaterError) as error:
            Peer("archive", url, 1).ask("POST", "/", begun + 0.3, body=bytes(2**25))
        assert time.monotonic() - begun < 10  # it would never end
    assert error.value.reason == "archive-time"


def test_a_peer_may_take_a_film_in_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not only as long as it may take to connect."""
    monkeypatch.setattr("gateway.http.CONNECT_SECONDS", 0.2)
    size = 2**25

    def behave(connection: socket.socket) -> None:
        time.sleep(0.5)
        read = 0
        while read < size:
            read += len(connection.recv(2**20))
        connection.sendall(OK + b"Content-Length: 2\r\n\r\nok")

    with peer(behave) as url:
        answer = Peer("service", url, 1).ask("POST", "/", time.monotonic() + 10, body=bytes(size))
    assert answer.body == b"ok"


def test_a_peer_whose_certificate_is_none_is_away() -> None:
    """And so no film is passed over because of it."""
    with peer(lambda one: one.sendall(OK * 3), "https") as url, pytest.raises(TryLaterError) as no:
        Peer("service", url, 1).ask("GET", "/", time.monotonic() + 2)
    assert no.value.reason == "service-away"


@pytest.mark.parametrize("token", [None, b"", b"\nlater", b"a b", b"\xff\xfe", "€".encode()])
def test_a_token_that_is_none_is_no_films_fault(tmp_path: Path, token: bytes | None) -> None:
    path = tmp_path / "token"
    if token is not None:
        path.write_bytes(token)
    with pytest.raises(TryLaterError) as error:
        Peer("service", "http://127.0.0.1:1", 1, path).ask("GET", "/", time.monotonic() + 2)
    assert error.value.reason == "service-token"
