"""Orthanc of Debian's package in a process of its own; it has no bind address: see tests/pacs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.processes import free_port

_DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
_START_SECONDS = 30.0


class Orthanc:
    """An archive that can be killed and started again with what it had.

    Args:
        folder: for its database, configuration and log.
        **configuration: in place of what is set here.
    """

    def __init__(self, folder: Path, **configuration: object) -> None:
        self.folder = folder
        self.port, self.dicom_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "db").mkdir(parents=True)
        document = {
            "Name": "archive",
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "Plugins": [_DICOMWEB],
            "HttpPort": self.port,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "OverwriteInstances": False,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            **configuration,
        }
        (folder / "orthanc.json").write_text(json.dumps(document))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dicomweb_url(self) -> str:
        """Root of its DICOMweb services."""
        return f"{self.url}/dicom-web"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/usr/sbin/Orthanc", str(self.folder / "orthanc.json")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/system").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise TimeoutError((self.folder / "log").read_text())

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def get(self, path: str) -> Any:
        """A document of its own interface."""
        return httpx.get(f"{self.url}{path}", timeout=60).raise_for_status().json()

    def put(self, data: bytes) -> None:
        """Stores a file."""
        httpx.post(f"{self.url}/instances", content=data, timeout=60).raise_for_status()

    def instances(self, modality: str) -> list[str]:
        """SOP Instance UIDs of a modality's objects, one for each object."""
        query = {"Level": "Instance", "Expand": True, "Query": {"Modality": modality}}
        found = httpx.post(f"{self.url}/tools/find", json=query, timeout=120).raise_for_status()
        return [one["MainDicomTags"]["SOPInstanceUID"] for one in found.json()]


@contextmanager
def orthanc(folder: Path, **configuration: object) -> Iterator[Orthanc]:
    """A running Orthanc, which is killed at the end."""
    archive = Orthanc(folder, **configuration)
    archive.start()
    try:
        yield archive
    finally:
        archive.kill()
