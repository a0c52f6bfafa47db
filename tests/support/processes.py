"""A service in a process of its own, as an operator starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

START_SECONDS = 30.0
STOP_SECONDS = 30.0


@dataclass
class ServiceProcess:
    """A running service.

    Attributes:
        process: `python -m app.main`.
        url: where it listens.
        output: file that takes its standard output and error.
    """

    process: subprocess.Popen[bytes]
    url: str
    output: Path

    def log(self) -> str:
        """All that it has written so far."""
        return self.output.read_text()

    def stop(self) -> int:
        """Sends SIGTERM and waits for the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


def environment(**settings: object) -> dict[str, str]:
    """This process's environment with these settings alone, `port=1` for SOLO_PORT=1."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SOLO_")}
    given = {"host_names": "x,y,my_solo.1-a", **settings}
    return inherited | {f"SOLO_{name.upper()}": str(value) for name, value in given.items()}


def run_to_end(**settings: object) -> subprocess.CompletedProcess[str]:
    """Runs a service that is expected not to start."""
    return subprocess.run(
        [sys.executable, "-m", "app.main"],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


@contextmanager
def serving(
    output: Path, module: str = "app.main", *, port: object = None, **settings: object
) -> Iterator[ServiceProcess]:
    """Starts a service on a port, or a free one, waits until it is ready; kills it at the end."""
    port = port or free_port()
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env=environment(port=port, **settings),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    service = ServiceProcess(process, f"http://127.0.0.1:{port}", output)
    try:
        wait_until_ready(service)
        yield service
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(service: ServiceProcess) -> None:
    """Waits until a service says that it is ready."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            raise RuntimeError(f"the service ended: {service.log()}")
        try:
            if httpx.get(f"{service.url}/healthz/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"the service was not ready in time: {service.log()}")
