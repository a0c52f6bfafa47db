"""Metrics and health over HTTP, on a port of their own."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.metrics import Metrics


def serve_health(host: str, port: int, metrics: Metrics, ready: Callable[[], bool]) -> None:
    """Starts to answer, in a thread.

    Args:
        host: address to listen on.
        port: TCP port.
        metrics: what `/metrics` shows.
        ready: what `/healthz/ready` tells; `/healthz/live` tells that the process answers.

    Raises:
        OSError: if the address cannot be used.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry))
            elif self.path == "/healthz/live":
                self._answer(200, "text/plain", b"live\n")
            elif self.path == "/healthz/ready":
                good = ready()
                self._answer(200 if good else 503, "text/plain", b"ready\n" if good else b"no\n")
            else:
                self._answer(404, "text/plain", b"there is /metrics and /healthz/ready\n")

        def _answer(self, status: int, media_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing: Prometheus asks every few seconds."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Says nothing: whoever asked has gone."""

    Thread(target=Server((host, port), Handler).serve_forever, name="health", daemon=True).start()
