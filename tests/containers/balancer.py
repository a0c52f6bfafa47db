"""What a balancer by itself does: it redirects plain HTTP, and hands on the client's address."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.containers.engine import Engine
from tests.containers.load import until

_CONFIGURATION = Path(__file__).parents[2] / "docker" / "haproxy.cfg"
_PORT = 18081
# Stands in for a busy replica: slow to say that it is ready, it answers with the header's lines.
_MIRROR = """
import http.server, json, time
class Mirror(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/healthz/ready": time.sleep(1.5)
        self.send_response(200); self.end_headers()
        self.wfile.write(json.dumps(self.headers.get_all("X-Forwarded-For", [])).encode())
http.server.ThreadingHTTPServer(("", 8000), Mirror).serve_forever()
"""


def redirected(engine: Engine, image: str) -> http.client.HTTPResponse:
    """The answer to a request for /model of a balancer that is told to redirect plain HTTP.

    Args:
        engine: what runs it.
        image: of HAProxy.
    """
    with _balancer(engine, image, "redirect"):
        return _ask("/model")


def addresses_handed_on(forged: str, engine: Engine, image: str, python: str) -> list[str]:
    """What a replica reads in X-Forwarded-For when a client has sent this header itself.

    Args:
        forged: what the client sends.
        engine: what runs both.
        image: of HAProxy.
        python: image that the stand-in for the replica is run from.
    """
    name = "solo-xray-proof-mirror"
    engine("network", "create", name)
    try:
        engine("run", "--rm", "--detach", "--name", name, "--network", name,
               "--network-alias", "solo", python, "python", "-c", _MIRROR)  # fmt: skip
        with _balancer(engine, image, "serve", "--network", name):
            until(lambda: _ask("/healthz/ready").status == 200, "a busy replica counts as ready")
            lines: list[str] = json.loads(_ask("/model", {"X-Forwarded-For": forged}).read())
            return lines
    finally:
        engine("rm", "--force", name)
        engine("network", "rm", "--force", name)


@contextmanager
def _balancer(engine: Engine, image: str, mode: str, *options: str) -> Iterator[None]:
    name = f"solo-xray-proof-{mode}"
    engine(
        "run", "--rm", "--detach", "--name", name, "--read-only", "--cap-drop", "ALL",
        "--user", "10001:10001", "--publish", f"127.0.0.1:{_PORT}:8080",
        "--env", "TLS=off", "--env", f"PLAIN_HTTP={mode}", "--env", "HTTPS_PORT=8443",
        "--volume", f"{_CONFIGURATION}:/etc/solo/haproxy.cfg:ro", *options,
        "--entrypoint", "haproxy", image, "-W", "-db", "-f", "/etc/solo/haproxy.cfg",
    )  # fmt: skip
    try:
        until(lambda: _ask("/healthz/live").status == 200, f"a balancer that is told to {mode}")
        yield
    finally:
        engine("rm", "--force", name)


def _ask(path: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("localhost", _PORT, timeout=10)
    connection.request("GET", path, headers=headers or {})
    return connection.getresponse()
