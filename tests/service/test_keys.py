"""A service that asks for keys, as a process."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.keys import new_key
from tests.support.films import flat, png
from tests.support.processes import ServiceProcess, run_to_end, serving

FILM = png(flat(255))
KEY, LINE = new_key("clinic-a")


@pytest.fixture(scope="module")
def closed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("closed")
    (folder / "keys").write_text(LINE)
    with serving(folder / "output", model=tiny_model, keys_file=folder / "keys") as running:
        yield running


def ask(service: ServiceProcess, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    return httpx.post(f"{service.url}/segment", content=FILM, headers=headers)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_with_a_key_a_film_is_segmented(closed: ServiceProcess, scheme: str) -> None:
    answer = ask(closed, f"{scheme} {KEY}")
    assert answer.status_code == 200
    assert answer.json()["images"][0]["instances"]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", f"Bearer {KEY}x", f"Basic {KEY}", KEY, LINE],
    ids=["none", "empty", "no key", "another", "basic", "no scheme", "line of the file"],
)
def test_without_a_key_the_answer_is_401(closed: ServiceProcess, authorization: str | None) -> None:
    answer = ask(closed, authorization)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:solo-xray:problem:unauthorized"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_all_but_probes_metrics_and_pages_is_closed(closed: ServiceProcess) -> None:
    with httpx.Client(base_url=closed.url) as http:
        pages = ("/", "/docs", "/docs/files/swagger-ui.css", "/openapi.json")
        for path in ("/healthz/live", "/healthz/ready", "/metrics", *pages):
            assert http.get(path).status_code == 200
        for path in ("/model", "/absent", "/page/absent.js", "/page/", "/docs/", "/metrics/"):
            assert http.get(path).status_code == 401
        headers = {"authorization": f"Bearer {KEY}"}
        assert http.get("/model", headers=headers).status_code == 200
        refused = 'solo_rejected_total{reason="unauthorized"}'
        assert f"{refused} 0.0" not in http.get("/metrics").text


def test_the_log_has_the_name_and_never_the_key(closed: ServiceProcess) -> None:
    ask(closed, f"Bearer {KEY}")
    ask(closed, f"Bearer x{KEY}")
    log = closed.log()
    assert '"key": "clinic-a"' in log
    assert '"error": "unauthorized", "key": null' in log
    assert KEY not in log
    assert LINE.split()[1] not in log


def test_without_usable_keys_it_does_not_start(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# none yet\n")
    (tmp_path / "open").write_text(LINE)
    (tmp_path / "open").chmod(0o666)
    for keys_file in (tmp_path / "keys", tmp_path / "open", tmp_path / "absent", ""):
        ended = run_to_end(model=tiny_model, keys_file=keys_file)
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1


def refused(service: ServiceProcess, headers: bytes, body: bytes) -> bytes:
    """Sends all of a request before it reads a byte of the answer, as simple clients do."""
    address = httpx.URL(service.url)
    head = b"POST /segment HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 8000000\r\n"
    with socket.create_connection((address.host, address.port or 80), timeout=30) as connection:
        connection.sendall(head + headers + b"\r\n")
        connection.sendall(body)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_refusal_is_read_by_a_client_that_is_still_sending(closed: ServiceProcess) -> None:
    answer = refused(closed, b"", bytes(8_000_000))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"problem:unauthorized" in answer


def test_a_client_that_asks_whether_to_send_is_told_not_to(closed: ServiceProcess) -> None:
    answer = refused(closed, b"expect: 100-continue\r\n", b"")
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_keys_come_and_go_without_a_restart(tiny_model: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(LINE)
    other, its_line = new_key("clinic-b")

    def becomes(service: ServiceProcess, key: str, status: int) -> bool:
        deadline = time.monotonic() + 2
        while ask(service, f"Bearer {key}").status_code != status:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    with serving(tmp_path / "output", model=tiny_model, keys_file=keys) as service:
        assert ask(service, f"Bearer {other}").status_code == 401
        with keys.open("a") as file:
            file.write(f"\n{its_line}\n")
        assert becomes(service, other, 200)
        (tmp_path / "new").write_text(its_line)
        (tmp_path / "new").rename(keys)
        assert becomes(service, KEY, 401)
        keys.write_text("")  # being written
        time.sleep(1.1)
        assert ask(service, f"Bearer {other}").status_code == 200
        assert ask(service, f"Bearer {KEY}").status_code == 401
        time.sleep(0.1)
        assert service.log().count("the keys stay as they were") == 1
