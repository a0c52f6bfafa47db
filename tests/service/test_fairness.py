"""One client's flood of heavy films, and another client's films meanwhile, against a process."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from app.keys import new_key
from tests.support.films import flat, png
from tests.support.processes import ServiceProcess, serving

CONNECTIONS = 64
FILM = png(flat(200))
HEAVY = png(np.full((6900, 6900), 200, np.uint8))  # legal, small, and slow to decode
(KEY_A, LINE_A), (KEY_B, LINE_B) = new_key("clinic-a"), new_key("clinic-b")


def client(service: ServiceProcess, address: str, key: str) -> httpx.Client:
    return httpx.Client(
        base_url=service.url,
        transport=httpx.HTTPTransport(local_address=address),
        headers={"authorization": f"Bearer {key}"},
        timeout=60,
    )


@contextmanager
def flooded(service: ServiceProcess, address: str, key: str) -> Iterator[list[float]]:
    """Heavy films on many connections of one client; the seconds that each took to decode."""
    done, decodes = threading.Event(), list[float]()

    def flood() -> None:
        with client(service, address, key) as http, suppress(httpx.TransportError):
            while not done.is_set():
                answer = http.post("/segment", content=HEAVY)
                if answer.status_code == 200:
                    decodes.append(answer.json()["images"][0]["timings"]["decode_seconds"])
                elif answer.status_code == 429:
                    done.wait(0.2)

    threads = [threading.Thread(target=flood) for _ in range(CONNECTIONS)]
    with ExitStack() as stack:
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(done.set)
        deadline = time.monotonic() + 30
        while len(decodes) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield decodes


@pytest.mark.parametrize("told_apart", ["by address", "by key"])
def test_a_flood_delays_another_client_by_one_film(
    tiny_model: Path, tmp_path: Path, told_apart: str
) -> None:
    settings: dict[str, Any] = {"model": tiny_model, "decode_workers": 1, "deadline_seconds": 60}
    other = "127.0.0.2"
    if told_apart == "by key":
        other = "127.0.0.1"
        (tmp_path / "keys").write_text(f"{LINE_A}\n{LINE_B}\n")
        settings["keys_file"] = tmp_path / "keys"
    with (
        serving(tmp_path / "output", **settings) as service,
        client(service, other, KEY_B) as http,
        flooded(service, "127.0.0.1", KEY_A) as decodes,
    ):
        waits, statuses = [], Counter[int]()
        for _ in range(5):
            began = time.monotonic()
            statuses[http.post("/segment", content=FILM).status_code] += 1
            waits.append(time.monotonic() - began)
        told = service.log() + http.get("/metrics").text
        service.process.kill()  # so that the flood need not be waited for
        assert statuses == {200: 5}
        # First come, first served would be some 60 such films; the rest is for a busy machine.
        assert max(waits) < 6 * max(decodes) + 1
        assert "127.0.0.2" not in told
