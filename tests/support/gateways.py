"""The gateway in a process of its own, as an operator starts it, and senders of films."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from pydicom import dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE, build_context

from tests.support.dicom import dicom_file
from tests.support.processes import free_port

START_SECONDS = 30.0


class GatewayProcess:
    """`python -m gateway`, which can be killed and started again with the same ports.

    Args:
        output: file that takes its standard output and error.
        settings: `mode="hold"` for SOLO_GATEWAY_MODE=hold.
    """

    def __init__(self, output: Path, **settings: object) -> None:
        self.output = output
        self.port, self.metrics_port = free_port(), free_port()
        given = {"port": self.port, "metrics_port": self.metrics_port, **settings}
        inherited = {name: text for name, text in os.environ.items() if "SOLO_" not in name}
        self._environment = inherited | {
            f"SOLO_GATEWAY_{name.upper()}": str(value) for name, value in given.items()
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> None:
        """Starts it, and waits until it says that it is ready."""
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway"],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while wait and not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the gateway does not start: {self.output.read_text()}")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """Whether it says so."""
        try:
            url = f"http://127.0.0.1:{self.metrics_port}/healthz/ready"
            return httpx.get(url).status_code == 200
        except httpx.TransportError:
            return False

    def metrics(self) -> str:
        """What Prometheus sees."""
        return httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics").text

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 30.0) -> int:
        """The exit code."""
        assert self.process is not None
        return self.process.wait(seconds)


@contextmanager
def gateway(output: Path, **settings: object) -> Iterator[GatewayProcess]:
    """A running gateway, which is killed at the end."""
    process = GatewayProcess(output, **settings)
    process.start()
    try:
        yield process
    finally:
        process.kill()


def film(size: int = 32, **elements: Any) -> bytes:
    """A film with UIDs of its own."""
    given = {
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "SOPInstanceUID": generate_uid(),
        "PatientName": "Planted^Name",
        "PatientID": "PLANTED42",
        "AccessionNumber": "PLANTED43",
        "InstitutionName": "Planted Hospital",
        **elements,
    }
    return dicom_file(np.arange(size * size, dtype=np.uint16).reshape(size, size), **given)


def uid_of(data: bytes) -> str:
    """SOP Instance UID of a film."""
    return str(dcmread(BytesIO(data), stop_before_pixels=True).SOPInstanceUID)


def store(
    port: int, data: bytes, called: str = "SOLO", calling: str = "TEST", **tls: Any
) -> int | None:
    """Sends a film by C-STORE; the status, or None where there was no association or answer."""
    dataset = dcmread(BytesIO(data))
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    contexts = [build_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)]
    association = entity.associate("127.0.0.1", port, contexts, called, **tls)
    if not association.is_established:
        return None
    try:
        status = association.send_c_store(dataset).get("Status")
    finally:
        association.release()
    return None if status is None else int(status)


def echo(port: int, called: str = "SOLO", calling: str = "TEST") -> bool:
    """Whether a C-ECHO is answered."""
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    association = entity.associate("127.0.0.1", port, [build_context("1.2.840.10008.1.1")], called)
    if not association.is_established:
        return False
    answered = bool(association.send_c_echo().get("Status") == 0)
    association.release()
    return answered
