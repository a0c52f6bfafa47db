"""The try at home without containers, as docs/pacs.md has it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.pacs
SCRIPT = "examples/try_pacs.py"


def processes_with(text: str) -> list[str]:
    """Command lines of this machine's processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


def test_the_archives_picture_has_the_outlines(tmp_path: Path) -> None:
    out = tmp_path / "pictures"
    done = subprocess.run(
        [sys.executable, SCRIPT, "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    modalities = [line[:2] for line in done.stdout.splitlines() if line[:3].strip().isupper()]
    assert modalities == ["DX", "SE", "PR", "OT"]
    film, capture = (cv2.imread(str(out / f"{name}.png")) for name in ("DX", "OT"))
    assert film is not None
    assert capture is not None
    assert film.shape == capture.shape
    colourful = np.ptp(capture.astype(int), axis=2) > 100
    assert 2000 < colourful.sum() < colourful.size / 20  # lines
    # Nothing stays: neither processes nor what the archive had.
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]
    assert processes_with(str(tmp_path)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_runs_on_after_a_signal(number: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "--out", str(tmp_path / "pictures")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    deadline = time.monotonic() + 60
    while not processes_with(f"Orthanc {tmp_path}") and time.monotonic() < deadline:
        time.sleep(0.05)  # until Orthanc runs
    assert processes_with(f"Orthanc {tmp_path}")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    assert process.wait(30) != 0  # it did not come to its own end
    deadline = time.monotonic() + 10
    while processes_with(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with(str(tmp_path)) == []
