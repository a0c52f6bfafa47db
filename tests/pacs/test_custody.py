"""Custody: kill -9 of the gateway and of the archive, and no acknowledged film without its result.

The films come from dcmtk's storescu, which sends each again until it is acknowledged. One in
five has no findings, one in five is refused.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from io import BytesIO
from pathlib import Path
from threading import Event

import httpx
import pytest
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from tests.support.gateways import GatewayProcess, film, uid_of
from tests.support.orthanc import Orthanc
from tests.support.processes import serving
from tests.support.senders import REFUSED, send_until
from tests.support.stub_servers import (
    DICOM,
    Reply,
    StubService,
    minimal_seg,
    problem,
    result_uid,
)

SENDERS = 3
CHEST = Path("examples/chest.dcm")
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
        senders = [
            pool.submit(send_until, stop, process.port, tmp_path, film) for _ in range(SENDERS)
        ]
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


class Modality:
    """Films of three kinds, one after the other, for the real service: each is known by its UID."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self._turns = itertools.cycle(["stored", "stored", "stored", "empty", "refused"])
        self._chest = dcmread(CHEST)

    def film(self) -> bytes:
        kind, uid = next(self._turns), generate_uid()
        self.kinds[str(uid)] = kind
        if kind == "refused":
            capture = SecondaryCaptureImageStorage
            return film(SOPInstanceUID=uid, SOPClassUID=capture, Modality="US")
        if kind == "empty":
            return film(SOPInstanceUID=uid)
        chest, output = copy(self._chest), BytesIO()
        chest.SOPInstanceUID = chest.file_meta.MediaStorageSOPInstanceUID = uid
        chest.save_as(output)
        return output.getvalue()


@pytest.mark.parametrize("kills", [10, pytest.param(40, marks=long)])
def test_hold_with_the_real_service(archive: Orthanc, tmp_path: Path, kills: int) -> None:
    stop, draw, modality = Event(), random.Random(3), Modality()
    with serving(tmp_path / "service") as service, ThreadPoolExecutor(SENDERS) as pool:
        process = GatewayProcess(
            tmp_path / "log", service_url=service.url, dicomweb_url=archive.dicomweb_url
        )
        process.start()
        senders = [
            pool.submit(send_until, stop, process.port, tmp_path, modality.film)
            for _ in range(SENDERS)
        ]
        try:
            for _ in range(kills):
                time.sleep(draw.uniform(0.2, 0.8))
                process.kill()
                process.start()
            time.sleep(1)
        finally:
            stop.set()
        ended = [one for sender in senders for one in sender.result(120)]
        process.kill()
    found = Counter(source_of(archive, one) for one in archive.get("/instances"))
    for uid, code in ended:
        kind = modality.kinds[uid]
        assert found[uid] == (kind == "stored"), kind
        assert (code == REFUSED) == (kind == "refused")
    assert {*found} <= {uid for uid, _ in ended}
    fates = Counter(modality.kinds[uid] for uid, _ in ended)
    assert fates["stored"] > kills
    print(f"{kills} kills, the real service: {len(ended)} films, {fates}")


def source_of(archive: Orthanc, instance: str) -> str:
    """The film that a SEG says it is of."""
    data = httpx.get(f"{archive.url}/instances/{instance}/file").content
    (series,) = dcmread(BytesIO(data), stop_before_pixels=True).ReferencedSeriesSequence
    (image,) = series.ReferencedInstanceSequence
    return str(image.ReferencedSOPInstanceUID)


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
