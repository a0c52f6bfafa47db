"""What the tests with a real archive need, or why they are skipped."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.orthanc import Orthanc, orthanc
from tests.support.stub_servers import StubService, running

VIEWER = Path(".venv/viewer/node_modules").absolute()
PROGRAMS = ("/usr/sbin/Orthanc", "/usr/bin/storescu", "/usr/bin/findscu")


def missing() -> str:
    """What is missing, or nothing."""
    programs = [one for one in PROGRAMS if shutil.which(one) is None]
    if programs:
        return f"{', '.join(programs)} not installed (Debian: orthanc, orthanc-dicomweb, dcmtk)"
    others = [name for _, name in socket.if_nameindex() if name != "lo" and _is_up(name)]
    if others:
        return f"{', '.join(others)} could be reached: run `make test-pacs` where `unshare` works"
    return ""


def _is_up(name: str) -> bool:
    return Path(f"/sys/class/net/{name}/operstate").read_text().strip() not in (
        "down",
        "notpresent",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = missing()
    for item in items:
        here = Path(__file__).parent in item.path.parents and item.path.name != "test_viewer.py"
        if reason and here:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if reason := missing():
        terminalreporter.write_line(f"no test with an archive was run: {reason}")
    if not VIEWER.exists():
        terminalreporter.write_line("no viewer read the objects: there is no npm that made it")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    with orthanc(tmp_path / "orthanc") as process:
        yield process


@pytest.fixture
def service() -> Iterator[StubService]:
    stub = StubService()
    with running(stub):
        yield stub
