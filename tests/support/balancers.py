"""HAProxy as it is shipped, and nginx as ingresses set it, before a service on this machine."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

_SHIPPED = Path(__file__).parents[2] / "docker/haproxy.cfg"
_NGINX = """
daemon off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
  access_log off; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream service {{ server {service}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
    }}
  }}
}}
"""


@contextmanager
def haproxy(service_url: str, folder: Path) -> Iterator[str]:
    """Yields the URL of HAProxy with docker/haproxy.cfg; skips the test where it is not installed.

    Its addresses alone are others: it listens on the loopback, and its replica is the service.
    """
    service = httpx.URL(service_url).netloc.decode()

    def configuration(port: int) -> str:
        text = re.sub(r"bind :8080", f"bind 127.0.0.1:{port}", _SHIPPED.read_text())
        text = re.sub(r"bind :8404", f"bind {folder}/metrics.sock", text)
        text = text.replace("resolvers names init-addr none", "")
        return re.sub(r"server-template replica .*", f"server replica1 {service}", text)

    environment = {"TLS": "off", "PLAIN_HTTP": "serve", "HTTPS_PORT": "443"}
    with _running("haproxy", ["-db", "-f"], configuration, folder, environment) as url:
        yield url


@contextmanager
def nginx(service_url: str, folder: Path) -> Iterator[str]:
    """Yields the URL of nginx, which passes Upgrade on; skips where it is not installed."""
    service = httpx.URL(service_url).netloc.decode()

    def configuration(port: int) -> str:
        return _NGINX.format(folder=folder, port=port, service=service)

    with _running("nginx", ["-c"], configuration, folder, {}) as url:
        yield url


@contextmanager
def _running(
    name: str,
    options: list[str],
    configuration: Callable[[int], str],
    folder: Path,
    environment: dict[str, str],
) -> Iterator[str]:
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file, url = folder / f"{name}.conf", f"http://127.0.0.1:{port}"
    file.write_text(configuration(port))
    process = subprocess.Popen(
        [program, *options, str(file)],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while not _ready(url):
            assert process.poll() is None, f"{name} ended"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz/ready").status_code == 200
    except httpx.TransportError:
        return False
