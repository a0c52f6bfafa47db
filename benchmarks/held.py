"""A film held by the gateway beside the bare request: python -m benchmarks.held.

Service and gateway are processes; the archive is a STOW-RS in memory, so that no archive is timed.
Alternating, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from statistics import median

import httpx
from pydicom import dcmread
from pynetdicom import AE, build_context

from tests.support.gateways import GatewayProcess, gateway
from tests.support.processes import serving
from tests.support.stub_servers import StubArchive, running

FILM = Path("examples/chest.dcm")


class Sender:
    """An association that stays open, as a modality's does."""

    def __init__(self, port: int) -> None:
        self._film = dcmread(BytesIO(FILM.read_bytes()))
        entity = AE(ae_title="BENCH")
        syntax = self._film.file_meta.TransferSyntaxUID
        contexts = [build_context(self._film.SOPClassUID, syntax)]
        self._association = entity.associate("127.0.0.1", port, contexts, "SOLO", max_pdu=131072)

    def send(self) -> float:
        """Seconds until the film is acknowledged; films that are put off are sent again."""
        begun = time.perf_counter()
        while (status := self._association.send_c_store(self._film).Status) == 0xA700:
            time.sleep(0.02)
        assert status == 0, hex(status)
        return time.perf_counter() - begun

    def close(self) -> None:
        """Releases the association."""
        self._association.release()


def throughput(process: GatewayProcess, associations: int, films: int) -> float:
    """Films a second."""
    senders = [Sender(process.port) for _ in range(associations)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(associations) as pool:
        each = films // associations
        [*pool.map(lambda sender: [sender.send() for _ in range(each)], senders)]
    seconds = time.perf_counter() - begun
    for sender in senders:
        sender.close()
    return each * associations / seconds


def main() -> None:
    """Prints medians in ms, their ratio, films a second and the gateway's peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=30)
    pairs = parser.parse_args().pairs
    data = FILM.read_bytes()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "service") as service,
        running(StubArchive()) as archive,
        gateway(Path(folder) / "gateway", service_url=service.url, dicomweb_url=archive) as process,
        httpx.Client(base_url=service.url) as client,
    ):
        sender = Sender(process.port)

        def bare() -> float:
            begun = time.perf_counter()
            headers = {"Accept": "application/dicom"}
            client.post("/segment", content=data, headers=headers).raise_for_status()
            return time.perf_counter() - begun

        for _ in range(5):
            sender.send(), bare()
        times = [(sender.send(), bare()) for _ in range(pairs)]
        sender.close()
        held, alone = (1e3 * median(column) for column in zip(*times, strict=True))
        ratio = median(one / other for one, other in times)
        print(f"held {held:.0f} ms, bare {alone:.0f} ms, ratio {ratio:.2f}")
        for associations in (1, 10):
            print(
                f"{associations} associations: {throughput(process, associations, 60):.1f} films/s"
            )
        assert process.process is not None
        status = Path(f"/proc/{process.process.pid}/status").read_text()
        (peak,) = re.findall(r"VmHWM:\s+(\d+)", status)
        print(f"gateway's peak memory {int(peak) / 1024:.0f} MB")


if __name__ == "__main__":
    main()
