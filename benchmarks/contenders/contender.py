"""A server that takes part: its environment, its process, its CPU time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.http_client import Target

ROOT = Path(__file__).parents[2]
_BOUNDARY = "simulated-accelerator"
_START_SECONDS = 60
_STOP_SECONDS = 20


class CannotTakePartError(Exception):
    """Its environment cannot be made, or it does not answer; the message says so."""


@dataclass(frozen=True)
class Contender:
    """How to install, start and ask a server.

    Attributes:
        name: for the table.
        command: of the server; `{python}`, `{bin}` and `{port}` are put in.
        path: that takes the bodies.
        field: of the form that a body is sent in; None for a raw body.
        packages: that its own environment gets; none for this project's environment.
    """

    name: str
    command: tuple[str, ...]
    path: str
    field: str | None = None
    packages: tuple[str, ...] = ()

    def python(self, environments: Path) -> Path:
        """The interpreter of its environment, which is made if it is not there.

        Raises:
            CannotTakePartError: if its packages cannot be installed.
        """
        if not self.packages:
            return Path(sys.executable)
        folder = environments / self.packages[0]
        python = folder / "bin/python"
        installed = folder / ".installed"
        if not installed.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            if subprocess.run([*pip, *self.packages], check=False).returncode:
                raise CannotTakePartError("cannot be installed here")
            installed.touch()
        return python

    def target(self, port: int, body: bytes, content_type: str) -> Target:
        """The request that it is asked again and again."""
        if self.field is not None:
            head = (
                f"--{_BOUNDARY}\r\nContent-Disposition: form-data; "
                f'name="{self.field}"; filename="f"\r\nContent-Type: {content_type}\r\n\r\n'
            )
            body = head.encode() + body + f"\r\n--{_BOUNDARY}--\r\n".encode()
            content_type = f"multipart/form-data; boundary={_BOUNDARY}"
        return Target.post(f"http://127.0.0.1:{port}{self.path}", body, content_type)


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu_seconds(self) -> float:
        """User and system time of the process and of all below it, those that ended left out."""
        ticks, family = 0, {self.process.pid}
        for pid, parent, used in sorted(_processes()):
            if pid in family or parent in family:
                family.add(pid)
                ticks += used
        return ticks / os.sysconf("SC_CLK_TCK")


def _processes() -> Iterator[tuple[int, int, int]]:
    """(pid, parent, clock ticks of user and system time) of each process (proc(5), `stat`)."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        yield int(folder.name), int(fields[1]), int(fields[11]) + int(fields[12])


@contextmanager
def running(contender: Contender, environments: Path, body: bytes) -> Iterator[Running]:
    """Starts a server and waits until it answers a request with 200; ends its processes after.

    Raises:
        CannotTakePartError: if it does not.
    """
    python = contender.python(environments)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    put_in = {"python": str(python), "bin": str(python.parent), "port": str(port)}
    process = subprocess.Popen(
        [part.format(**put_in) for part in contender.command],
        cwd=ROOT,
        env={**os.environ, "BENTOML_DO_NOT_TRACK": "True"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_until_it_answers(process, contender.target(port, body, "image/png"))
        yield Running(process, port)
    finally:
        _stop(process)


def _wait_until_it_answers(process: subprocess.Popen[bytes], target: Target) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            with socket.create_connection((target.host, target.port), timeout=5) as connection:
                connection.sendall(target.request)
                if connection.recv(4096).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise CannotTakePartError("does not answer")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its own group: workers that it left behind
    process.wait()
