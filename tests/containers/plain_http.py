"""What a balancer answers to plain HTTP, each setting with a balancer of its own."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import NamedTuple

from tests.containers.engine import Engine
from tests.containers.load import until

_CONFIGURATION = Path(__file__).parents[2] / "docker" / "haproxy.cfg"
_PORT = 18081


class Answer(NamedTuple):
    """To a request for /model; no replica stands behind the balancer."""

    status: int
    location: str | None
    content_type_options: str | None


def answer_when_told_to(mode: str, engine: Engine, image: str) -> Answer:
    """Starts a balancer, asks it and takes it down.

    Args:
        mode: value of PLAIN_HTTP.
        engine: what runs it.
        image: of HAProxy.
    """
    name = f"solo-xray-proof-{mode}"
    engine(
        "run", "--rm", "--detach", "--name", name, "--read-only", "--cap-drop", "ALL",
        "--user", "10001:10001", "--publish", f"127.0.0.1:{_PORT}:8080",
        "--env", "TLS=off", "--env", f"PLAIN_HTTP={mode}", "--env", "HTTPS_PORT=8443",
        "--volume", f"{_CONFIGURATION}:/etc/solo/haproxy.cfg:ro",
        "--entrypoint", "haproxy", image, "-W", "-db", "-f", "/etc/solo/haproxy.cfg",
    )  # fmt: skip
    try:
        until(lambda: _ask("/healthz/live").status == 200, f"a balancer that is told to {mode}")
        response = _ask("/model")
        headers = response.headers
        return Answer(response.status, headers["location"], headers["x-content-type-options"])
    finally:
        engine("rm", "--force", name)


def _ask(path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("localhost", _PORT, timeout=10)
    connection.request("GET", path)
    return connection.getresponse()
