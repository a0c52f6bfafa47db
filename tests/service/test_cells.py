"""`POST /segment?pixels=cells`: the answer and the film in one, to a real process."""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.dicom import dicom_file
from tests.support.films import chest, jpeg, png
from tests.support.form_answers import read_cells, shown
from tests.support.processes import ServiceProcess, serving

PATH = "/segment?pixels=cells"
TOKEN = secrets.token_hex(6)
FILM = dicom_file(
    chest(), WindowCenter=1500, WindowWidth=2000,
    PatientName=f"Planted{TOKEN}^Name", PatientID=TOKEN, StudyDescription=f"of {TOKEN}",
)  # fmt: skip
BYTES = (chest() // 16).astype(np.uint8)
FRAMES = dicom_file(np.stack([chest()] * 3), NumberOfFrames=3)
CLIENT_SECONDS = 1.0
VARYING = re.compile(rb'"request_id":"[^"]*"|"timings":\{[^}]*\}')


@pytest.fixture(scope="module")
def one_place(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A service that soon loses patience with its clients."""
    output = tmp_path_factory.mktemp("one place") / "output"
    settings: dict[str, Any] = {"client_seconds": CLIENT_SECONDS, "cores": 1}
    with serving(output, model=tiny_model, **settings) as running:
        yield running


def settled(body: bytes) -> bytes:
    return VARYING.sub(b"", body)


@pytest.mark.parametrize("query", ["", "&format=polygons", "&frame=0&score_threshold=0"])
@pytest.mark.parametrize("film", [FILM, png(BYTES), jpeg(BYTES)])
def test_the_answer_is_the_one_without(http: httpx.Client, film: bytes, query: str) -> None:
    plain = http.post(f"/segment?{query.lstrip('&')}", content=film)
    with_cells = http.post(PATH + query, content=film)
    read = read_cells(with_cells)
    (text,) = re.findall(
        rb'name="answer"\r\n[^\r]*\r\n\r\n(.*?)\r\n--', with_cells.content, re.DOTALL
    )
    assert settled(text) == settled(plain.content)
    grey = shown(read.values, read.display)
    assert np.abs(grey - read.table).max() <= 1


def test_the_cells_are_the_file_s_and_its_window_too(http: httpx.Client) -> None:
    read = read_cells(http.post(PATH, content=FILM))
    np.testing.assert_array_equal(read.cells, chest())
    assert read.display == {
        "bits": 16, "frames": 1, "inverted": False,
        "window": {"center": 1500, "width": 2000, "function": "LINEAR"},
    }  # fmt: skip
    again = read_cells(http.post(PATH, files={"film": ("name.dcm", FILM)}))  # a form of one file
    np.testing.assert_array_equal(again.cells, chest())
    third = read_cells(http.post(f"{PATH}&frame=2", content=FRAMES))
    assert third.display["frames"] == 3


@pytest.mark.parametrize(
    ("path", "sent", "said"),
    [
        (f"{PATH}&frame=all", {"content": FRAMES}, "frame may be several"),
        (f"{PATH}&frame=0-1", {"content": FRAMES}, "frame may be several"),
        (PATH, {"files": [("f", FILM), ("f", FILM)]}, "the request has 2 files"),
        (f"{PATH}&format=overlay", {"content": FILM}, "format overlay is a picture"),
        (f"{PATH}&format=label-map", {"content": FILM}, "format label-map is a picture"),
        ("/segment?pixels=grey", {"content": FILM}, "pixels"),
        (f"{PATH}&frame=1", {"content": FILM}, "frame is 1"),
    ],
)
def test_what_is_not_one_film_in_json_is_refused(
    http: httpx.Client, path: str, sent: Any, said: str
) -> None:
    answer = http.post(path, **sent)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert said in answer.json()["detail"]


def test_errors_are_problems(http: httpx.Client) -> None:
    problem = (400, "application/problem+json")
    broken: list[dict[str, Any]] = [{"content": b"none"}, {"files": {"film": FILM[:900]}}]
    for sent in broken:
        answer = http.post(PATH, **sent)
        assert (answer.status_code, answer.headers["content-type"]) == problem


def test_nothing_of_the_patient_is_in_any_part_or_in_the_log(
    http: httpx.Client, service: ServiceProcess
) -> None:
    def logged() -> list[dict[str, Any]]:
        lines = (line for line in service.log().splitlines() if '"event": "request"' in line)
        return [entry for entry in map(json.loads, lines) if entry["route"] == "/segment"]

    answer = http.post(PATH, content=FILM, headers={"x-request-id": "cells"})
    assert TOKEN.encode() in FILM
    assert TOKEN.encode() not in answer.content
    assert TOKEN not in str(answer.headers)
    http.post("/segment", content=FILM, headers={"x-request-id": "plain"})
    until(lambda: {"cells", "plain"} <= {entry["request_id"] for entry in logged()})
    assert TOKEN not in service.log()
    entries = {entry["request_id"]: entry for entry in logged()}
    with_cells, plain = entries["cells"], entries["plain"]
    assert with_cells.keys() == plain.keys()
    assert with_cells["images"][0].keys() == plain["images"][0].keys()


def test_many_clients_at_once_get_their_own_films(
    http: httpx.Client, service: ServiceProcess
) -> None:
    films = [
        np.random.default_rng(number).integers(0, 4096, (60 + number, 90 - number), np.uint16)
        for number in range(32)
    ]
    refused = {429}

    def own(film: Any) -> bool:
        body = dicom_file(film, WindowCenter=2000, WindowWidth=4000)
        with httpx.Client(base_url=service.url, timeout=60) as client:
            for _ in range(4):
                while (answer := client.post(PATH, content=body)).status_code in refused:
                    time.sleep(0.1)
                if not np.array_equal(read_cells(answer).cells, film):
                    return False
        return True

    with ThreadPoolExecutor(32) as clients:
        assert all(clients.map(own, films))


def ask(service: ServiceProcess, film: bytes, source: str = "127.0.0.1") -> socket.socket:
    """Asks on a connection that takes in little by itself."""
    address = httpx.URL(service.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60)
    connection.bind((source, 0))
    connection.connect((address.host, address.port or 80))
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(film)}\r\n\r\n"
    connection.sendall(head.encode() + film)
    return connection


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_takes_a_film_too_slowly_is_cut_off_and_its_place_is_free(
    one_place: ServiceProcess,
) -> None:
    """As many as there are places take a byte now and then; then another has its turn."""
    large = dicom_file(np.tile(chest(), (40, 40)), WindowCenter=1500, WindowWidth=2000)
    slow = [ask(one_place, large) for _ in range(8)]
    try:
        for connection in slow[:4]:
            connection.recv(1)
        assert httpx.post(f"{one_place.url}/segment", content=FILM).status_code == 200
        until(lambda: one_place.log().count('"error": "too-slow"') >= 4)
        answer = httpx.post(one_place.url + PATH, content=large, timeout=60)
        assert read_cells(answer).cells.shape == (2800, 2400)
    finally:
        for connection in slow:
            connection.close()
    until(lambda: one_place.log().count('"route": "/segment"') >= 10)
    assert '"exception"' not in one_place.log()
    assert "ASGI" not in one_place.log()


def test_who_takes_films_slowly_keeps_nobody_waiting(tiny_model: Path, tmp_path: Path) -> None:
    """More clients than there are places for films hold answers and take none of them."""
    large = dicom_file(np.tile(chest(), (40, 40)), WindowCenter=1500, WindowWidth=2000)
    settings: dict[str, Any] = {"client_seconds": 60, "cores": 1}
    with serving(tmp_path / "output", model=tiny_model, **settings) as service, ExitStack() as slow:
        for number in range(12):
            connection = slow.enter_context(ask(service, large, f"127.0.0.{2 + number % 3}"))
            assert connection.recv(12) == b"HTTP/1.1 200"
        for query in ("pixels=cells", "format=overlay"):
            answer = httpx.post(
                f"{service.url}/segment?{query}",
                content=FILM,
                headers={"x-request-timeout-seconds": "10"},
                timeout=60,
            )
            assert answer.status_code == 200
        greedy = ask(service, large, "127.0.0.2")  # its share is full long before the others'
        slow.enter_context(greedy)
        for _ in range(8):
            more = slow.enter_context(ask(service, large, "127.0.0.2"))
            begin = more.recv(12)
        assert begin == b"HTTP/1.1 429"
        again = httpx.post(service.url + PATH, content=FILM, timeout=60)
        assert again.status_code == 200
