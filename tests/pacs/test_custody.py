"""Custody: kill -9 of the gateway and of the archive, and no acknowledged film without its result.

The films come from dcmtk's storescu, which sends each again until it is acknowledged. One in
five has no findings, one in five is refused.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest
from pydicom import dcmread

from tests.support.gateways import GatewayProcess, film, uid_of
from tests.support.orthanc import Orthanc
from tests.support.stub_servers import (
    DICOM,
    Reply,
    StubService,
    minimal_seg,
    problem,
    result_uid,
)

ACKNOWLEDGED = 0
REFUSED = 0xC0  # storescu exits with the upper byte of the status
SENDERS = 3
long = pytest.mark.long
pytestmark = pytest.mark.pacs


def answer(data: bytes) -> Reply:
    """Of films by the last sign of their UID: a result, no findings, or a refusal."""
    time.sleep(0.03)
    last = int(str(dcmread(BytesIO(data), stop_before_pixels=True).SOPInstanceUID)[-1])
    if last in (0, 1):
        return problem(422, "nothing-found")
    if last in (2, 3):
        return problem(415, "unsupported-encoding")
    return 200, DICOM, minimal_seg(data)


def fate(uid: str) -> str:
    return {"0": "empty", "1": "empty", "2": "refused", "3": "refused"}.get(uid[-1], "stored")


def storescu(port: int, path: Path) -> int:
    """Exit code of one attempt."""
    command = ["/usr/bin/storescu", "-R", "-aec", "SOLO", "-to", "5", "-td", "15", "127.0.0.1"]
    return subprocess.run(
        [*command, str(port), str(path)], capture_output=True, check=False, timeout=60
    ).returncode


def send_until(stop: Event, port: int, folder: Path) -> list[tuple[str, int]]:
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


@pytest.mark.parametrize(("kills", "archive_kills"), [(6, 2), pytest.param(40, 10, marks=long)])
def test_hold(
    archive: Orthanc, service: StubService, tmp_path: Path, kills: int, archive_kills: int
) -> None:
    service.answer = answer
    process = GatewayProcess(
        tmp_path / "log", service_url=service.url, dicomweb_url=archive.dicomweb_url
    )
    process.start()
    stop = Event()
    draw = random.Random(1)
    with ThreadPoolExecutor(SENDERS) as pool:
        senders = [pool.submit(send_until, stop, process.port, tmp_path) for _ in range(SENDERS)]
        try:
            for turn in range(kills):
                time.sleep(draw.uniform(0.1, 0.6))
                process.kill()
                if turn % (kills // archive_kills) == 0:
                    archive.kill()
                    archive.start()
                process.start()
            for _ in range(archive_kills):  # and the archive alone, in the middle of deliveries
                time.sleep(draw.uniform(0.2, 0.5))
                archive.kill()
                archive.start()
        finally:
            stop.set()
        ended = [one for sender in senders for one in sender.result(120)]
    process.kill()
    stored = Counter(archive.instances("SEG"))
    assert len(ended) > 2 * kills
    for uid, code in ended:
        assert stored[result_uid(uid)] == (fate(uid) == "stored"), fate(uid)
        assert (code == REFUSED) == (fate(uid) == "refused")
    assert set(stored.values()) == {1}
    print(f"{kills} + {archive_kills} kills: {len(ended)} films, {Counter(map(fate, dict(ended)))}")


@pytest.mark.parametrize("kills", [5, pytest.param(25, marks=long)])
@pytest.mark.parametrize("source", ["changes", "qido"])
def test_pull(
    archive: Orthanc, service: StubService, tmp_path: Path, kills: int, source: str
) -> None:
    service.answer = answer
    process = GatewayProcess(
        tmp_path / "log",
        mode="pull",
        pull_from=source,
        service_url=service.url,
        dicomweb_url=archive.dicomweb_url,
        orthanc_url=archive.url,
        cursor_file=tmp_path / "cursor",
        poll_seconds=0.2,
    )
    process.start()
    while not (tmp_path / "cursor").exists():  # what came before the first start is left alone
        time.sleep(0.02)
    uids: list[str] = []
    draw = random.Random(2)
    for _ in range(kills):
        for _ in range(draw.randint(2, 7)):
            data = film(StudyDate=time.strftime("%Y%m%d"))
            archive.put(data)
            uids.append(uid_of(data))
        time.sleep(draw.uniform(0.05, 0.4))
        process.kill()
        process.start(wait=False)
        time.sleep(draw.uniform(0.4, 1.2))
    wanted = {result_uid(uid) for uid in uids if fate(uid) == "stored"}
    deadline = time.monotonic() + 60
    while wanted - {*archive.instances("SEG")} and time.monotonic() < deadline:
        time.sleep(0.2)
    stored = Counter(archive.instances("SEG"))
    process.kill()
    assert wanted == set(stored)
    assert set(stored.values()) == {1}
    print(f"{kills} kills, {source}: {len(uids)} films, {Counter(map(fate, uids))}")
