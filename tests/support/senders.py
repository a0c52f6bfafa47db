"""dcmtk's storescu as a modality: it owns a film until that is acknowledged, and sends it again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from uuid import uuid4

from tests.support.gateways import uid_of

ACKNOWLEDGED = 0
# storescu exits with the upper byte of the status.
BUSY = 0xA7
REFUSED = 0xC0


def storescu(port: int, *paths: Path, calling: str = "CR1", called: str = "SOLO") -> int:
    """The exit code of one attempt."""
    names = ["-aet", calling, "-aec", called]
    command = ["/usr/bin/storescu", "-R", *names, "-to", "5", "-td", "15", "127.0.0.1", str(port)]
    return subprocess.run(
        [*command, *map(str, paths)], capture_output=True, check=False, timeout=60
    ).returncode


def send_until(
    stop: Event, port: int, folder: Path, film: Callable[[], bytes]
) -> list[tuple[str, int]]:
    """Sends films until told to stop, the last one to its end; UIDs with what came of them."""
    ended: list[tuple[str, int]] = []
    path = folder / f"{uuid4().hex}.dcm"
    while not stop.is_set():
        data = film()
        path.write_bytes(data)
        while (code := storescu(port, path)) not in (ACKNOWLEDGED, REFUSED):
            time.sleep(0.02)
        ended.append((uid_of(data), code))
    path.unlink(missing_ok=True)
    return ended
