"""The service in a process of its own, what memory it takes, and how it ends."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "model/zoo/cxr-lungs.onnx"
_START_SECONDS = 60
_STOP_SECONDS = 60
_FORGET_PEAK = "5"  # proc(5), clear_refs


@dataclass(frozen=True)
class ServiceProcess:
    """A service that is ready to answer, on a port of this machine."""

    process: subprocess.Popen[bytes]
    port: int

    def decoders(self) -> list[int]:
        """Ids of its decoder processes."""
        return [
            int(pid)
            for pid in _read(self.process.pid, "task", str(self.process.pid), "children").split()
        ]

    def family(self) -> list[int]:
        """Ids of all its processes."""
        return [self.process.pid, *self.decoders()]

    def memory_bytes(self) -> int:
        """What all its processes hold; a page that several share counts once (Pss)."""
        return sum(_kilobytes(_read(pid, "smaps_rollup"), "Pss") for pid in self.family()) * 1024

    def forget_peaks(self) -> None:
        """Lets `peak_bytes` start anew."""
        for pid in self.family():
            Path(f"/proc/{pid}/clear_refs").write_text(_FORGET_PEAK)

    def peak_bytes(self) -> int:
        """The most that its processes have held since; what they share counts for each of them."""
        return sum(_kilobytes(_read(pid, "status"), "VmHWM") for pid in self.family()) * 1024

    def resident_bytes(self) -> int:
        """What its processes hold now; what they share counts for each of them."""
        return sum(_kilobytes(_read(pid, "status"), "VmRSS") for pid in self.family()) * 1024

    def stop(self) -> int:
        """Sends SIGTERM and waits; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_SECONDS)


@contextmanager
def serving(
    model: Path = MODEL,
    *,
    tree: Path = ROOT,
    output: int = subprocess.DEVNULL,
    **settings: object,
) -> Iterator[ServiceProcess]:
    """Starts the service on a free port and waits until it is ready; ends it at the end.

    Args:
        model: to serve: this very file, and not a variant of it, which may be named itself.
        tree: whose service to start.
        output: file descriptor of its standard output.
        settings: `max_batch=1` for SOLO_MAX_BATCH=1; none is taken from this environment.

    Raises:
        RuntimeError: if it does not become ready.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SOLO_")}
    given = {f"SOLO_{name.upper()}": str(value) for name, value in settings.items()}
    own = {"SOLO_PORT": str(port), "SOLO_MODEL": str(model)}
    process = subprocess.Popen(
        [sys.executable, "-m", "app.main"],
        cwd=tree,
        env={**inherited, "SOLO_PRECISION": "float32", **given, **own},
        stdout=output,
        stderr=subprocess.DEVNULL,
    )
    try:
        give_up = time.monotonic() + _START_SECONDS
        while _status(port) != 200:
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError("the service did not become ready")
            time.sleep(0.1)
        yield ServiceProcess(process, port)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _status(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz/ready")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _read(pid: int, *names: str) -> str:
    try:
        return Path("/proc", str(pid), *names).read_text()
    except OSError:  # it has just ended
        return ""


def _kilobytes(text: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) if found else 0
