"""Nothing of a patient is left behind: not on a disk, not in shared memory, not in a log."""

from __future__ import annotations

import os
import re
import secrets
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom.uid import CTImageStorage

from tests.support.decoders import workers_of
from tests.support.dicom import dicom_file
from tests.support.films import chest, png, png_header_only
from tests.support.processes import ServiceProcess, serving

ROOT = Path(__file__).parents[2]
TOKEN = secrets.token_hex(6)
NAME, ID, FILE = f"Planted{TOKEN}^Name", f"ID-{TOKEN}", f"film-{TOKEN}.dcm"
UID = f"1.2.826.0.1.3680043.8.498.{int(TOKEN, 16)}"
SECRETS = (TOKEN, str(int(TOKEN, 16)))
BODY_LIMIT = 8_000_000


def planted(**elements: Any) -> bytes:
    given = {"PatientName": NAME, "PatientID": ID, "SOPInstanceUID": UID, "StudyInstanceUID": UID}
    return dicom_file(chest(), **(given | elements))


GOOD = planted()
LARGE = dicom_file(
    np.zeros((1500, 1500), np.uint16), PatientName=NAME, PatientID=ID, SOPInstanceUID=UID
)
DAMAGED = GOOD.replace(b"PN", b"P?", 1)


@pytest.fixture
def watched(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A service whose every place to write to is its own."""
    for name in ("home", "tmp", "cwd"):
        (tmp_path / "places" / name).mkdir(parents=True)
    places = tmp_path / "places"
    monkeypatch.setenv("HOME", str(places / "home"))
    monkeypatch.setenv("TMPDIR", str(places / "tmp"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(places / "cwd")
    limits: dict[str, Any] = {"max_body_bytes": BODY_LIMIT, "max_pixels": 5_000_000}
    with serving(tmp_path / "output", model=tiny_model, client_seconds=2, **limits) as running:
        yield running, places


def written_files(service: ServiceProcess) -> set[str]:
    """Regular files, deleted ones too, that the service or a decoder has open for writing."""
    found = set()
    for pid in (service.process.pid, *workers_of(service.process.pid)):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target, kind = os.readlink(link), link.stat().st_mode
                flags = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text()
            except FileNotFoundError:  # closed meanwhile
                continue
            for_writing = int(re.findall(r"flags:\s+(\d+)", flags)[0], 8) & os.O_ACCMODE
            # A memfd is memory without a name, which decoders share with the service.
            if stat.S_ISREG(kind) and for_writing and not target.startswith("/memfd:"):
                found.add(target)
    return found


@contextmanager
def half_sent(service: ServiceProcess, form: bool) -> Iterator[None]:
    """A large film, all but its end; then the client leaves."""
    head = "POST /segment HTTP/1.1\r\nHost: x\r\n"
    start = b""
    if form:
        head += "Content-Type: multipart/form-data; boundary=b\r\n"
        start = (
            f'--b\r\nContent-Disposition: form-data; name="f"; filename="{FILE}"\r\n\r\n'.encode()
        )
    head += f"Content-Length: {len(LARGE) + len(start) + 100}\r\n\r\n"
    address = httpx.URL(service.url)
    with socket.create_connection((address.host, address.port or 80)) as connection:
        connection.sendall(head.encode() + start + LARGE)
        deadline = time.monotonic() + 20
        while held_bytes(service) < len(LARGE):
            assert time.monotonic() < deadline
        yield


def held_bytes(service: ServiceProcess) -> float:
    lines = httpx.get(f"{service.url}/metrics").text.splitlines()
    (line,) = (line for line in lines if line.startswith("solo_body_bytes "))
    return float(line.split()[1])


def ask_everything(http: httpx.Client) -> list[int]:
    """Good, bad, broken and huge requests; their statuses."""
    bodies = [
        GOOD, LARGE, DAMAGED, GOOD[:-1000], GOOD[:200], NAME.encode() * 100,
        planted(SOPClassUID=CTImageStorage, Modality="CT"), planted(Rows=60_000, Columns=60_000),
        png(chest()) + NAME.encode(), png_header_only(40_000, 40_000) + NAME.encode(),
        LARGE + bytes(BODY_LIMIT),
    ]  # fmt: skip
    answers: list[httpx.Response] = []
    for body in bodies:
        queries = ("", "?format=overlay", f"?frame={NAME}", f"?{ID}={UID}")
        answers.extend(http.post(f"/segment{query}", content=body) for query in queries)
        answers.append(http.post("/segment", files={ID: (FILE, body, "application/dicom")}))
        answers.append(http.post("/segment", content=body, headers={"content-type": NAME}))
    answers.append(http.post("/segment", files=[(NAME, (FILE, body)) for body in bodies[:7]]))
    answers.append(http.get(f"/{NAME}/{UID}?{ID}", headers={"x-request-id": NAME}))
    answers.append(http.request(f"X{TOKEN}", "/segment"))
    answers.append(http.put(f"/segment?{NAME}", content=GOOD))
    for answer in answers:
        told = answer.text + str(answer.headers) if answer.status_code >= 400 else ""
        assert not [secret for secret in SECRETS if secret in told], answer.text
    return [answer.status_code for answer in answers]


def marked(folder: Path, since: float = 0.0) -> list[Path]:
    """Files below a folder that are named for the patient, or have something of one in them."""
    found = []
    for path in folder.rglob("*"):
        try:
            state = path.lstat()
            if state.st_mtime < since or not stat.S_ISREG(state.st_mode):
                continue
            content = path.read_bytes()
        except OSError:  # another's
            continue
        if any(secret in path.name or secret.encode() in content for secret in SECRETS):
            found.append(path)
    return found


def test_nothing_of_a_patient_is_left_on_disk_or_in_logs(watched: Any) -> None:
    service, places = watched
    since = time.time() - 1
    (places / "home" / "control").write_text(NAME)
    assert marked(places) == [places / "home" / "control"]  # what is there would be found
    (places / "home" / "control").unlink()
    with httpx.Client(base_url=service.url, timeout=30) as http:
        statuses = ask_everything(http)
    assert {200, 400, 404, 405, 413, 415, 422} <= set(statuses)
    for form in (False, True):
        with half_sent(service, form):
            assert written_files(service) == {str(service.output)}
    assert service.stop() == 0
    assert {path.name for path in places.rglob("*")} == {"home", "tmp", "cwd"}
    assert marked(Path("/dev/shm"), since) == []  # noqa: S108
    log = service.log()
    assert log.count('"event": "request"') > len(statuses)
    assert not [secret for secret in SECRETS if secret in log]
