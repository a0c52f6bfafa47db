"""Bounds: what strangers and broken senders can do to an honest one."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE, build_context
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from tests.support.certificates import write_certificate
from tests.support.gateways import GatewayProcess, echo, film, gateway, store
from tests.support.stub_servers import (
    DICOM,
    Reply,
    StubArchive,
    StubService,
    minimal_seg,
    running,
    sample,
)

pytestmark = pytest.mark.long
MEMORY_BYTES = 700_000_000
FILM_BYTES = 8_000_000


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, object]]:
    with running(StubService()) as service, running(StubArchive()) as archive:
        yield {"service_url": service, "dicomweb_url": archive}


@pytest.fixture(scope="module")
def process(
    servers: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    with gateway(
        tmp_path_factory.mktemp("gateway") / "log",
        **servers,
        associate_seconds=2,
        idle_seconds=4,
        max_associations=5,
        memory_bytes=MEMORY_BYTES,
        max_film_bytes=FILM_BYTES,
    ) as one:
        yield one


def connect(process: GatewayProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", process.port), 20)


def peak_bytes(process: GatewayProcess) -> int:
    assert process.process is not None
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+)", status)
    return int(kilobytes) * 1024


def echoed_within(process: GatewayProcess, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if echo(process.port):
            return True
        time.sleep(0.1)
    return False


def test_a_pdu_of_four_gigabytes_is_not_read(process: GatewayProcess) -> None:
    for kind in (1, 4, 1, 4):
        with connect(process) as bomb:
            bomb.sendall(struct.pack(">BBL", kind, 0, 2**32 - 1))
            with pytest.raises(ConnectionError):
                bomb.sendall(bytes(400 * 2**20))
    assert echo(process.port)
    assert peak_bytes(process) < MEMORY_BYTES / 2
    metrics = process.metrics()
    name = "solo_gateway_associations_rejected_total"
    assert sample(metrics, name, reason="pdu-size") == 2
    assert sample(metrics, name, reason="request") == 2  # data before a request


def test_a_film_over_the_limit_ends_its_association(process: GatewayProcess) -> None:
    # 8 MB allowed; 2500 x 2500 of 16 bits are 12.5 MB.
    assert store(process.port, film(size=2500)) is None
    assert store(process.port, film(size=1500)) == 0


def test_films_sent_ahead_of_answers_are_bounded(tmp_path: Path) -> None:
    """Asynchronous operations are not negotiated: what comes all the same would be in memory."""

    def slowly(data: bytes) -> Reply:
        time.sleep(1)
        return 200, DICOM, minimal_seg(data)

    dataset = dcmread(io.BytesIO(film(size=700)))
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = dataset.SOPClassUID
    request.AffectedSOPInstanceUID = dataset.SOPInstanceUID
    syntax = dataset.file_meta.TransferSyntaxUID
    content = encode(dataset, syntax.is_implicit_VR, syntax.is_little_endian)
    assert content is not None
    with (
        running(StubService(answer=slowly)) as service,
        running(StubArchive()) as archive,
        gateway(
            tmp_path / "log", service_url=service, dicomweb_url=archive, max_film_bytes=2_000_000
        ) as one,
    ):
        entity = AE(ae_title="TEST")
        contexts = [build_context(dataset.SOPClassUID, syntax)]
        association = entity.associate("127.0.0.1", one.port, contexts, "SOLO")
        (context,) = association.accepted_contexts
        for _ in range(8):  # a megabyte each
            request.DataSet = io.BytesIO(content)
            association.dimse.send_msg(request, context.context_id or 1)
        association.join(8)
        assert not association.is_alive()
        name = "solo_gateway_associations_rejected_total"
        assert sample(one.metrics(), name, reason="film-size") == 1
        assert store(one.port, film()) == 0


def test_silent_connections_do_not_keep_others_out(process: GatewayProcess) -> None:
    silent = [connect(process) for _ in range(60)]
    try:
        assert echo(process.port)  # their places are not taken
    finally:
        for one in silent:
            one.close()


def test_a_pdu_that_does_not_end_does_not_keep_others_out(process: GatewayProcess) -> None:
    """A head that promises 1000 bytes, and then a byte a second."""
    halves = [connect(process) for _ in range(6)]
    for one in halves:
        one.sendall(struct.pack(">BBL", 1, 0, 1000))
    try:
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            for one in halves:
                try:
                    one.sendall(b"\0")
                except OSError:
                    continue
            time.sleep(0.5)
        assert echoed_within(process, 4)
    finally:
        for one in halves:
            one.close()


def test_garbage_leaves_nothing_behind(process: GatewayProcess) -> None:
    before = len(process.output.read_text().splitlines())
    for seed in range(300):
        with connect(process) as one:
            one.sendall(bytes((seed * n * n + 7 * n) % 256 for n in range(200)))
    assert echoed_within(process, 4)
    assert store(process.port, film()) == 0
    assert len(process.output.read_text().splitlines()) < before + 20
    deadline = time.monotonic() + 10
    while threads(process) > 20 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert threads(process) <= 20


def threads(process: GatewayProcess) -> int:
    assert process.process is not None
    return len([*Path(f"/proc/{process.process.pid}/task").iterdir()])


def test_only_the_called_name_and_known_callers(servers: dict[str, object], tmp_path: Path) -> None:
    with gateway(tmp_path / "log", **servers, calling_ae_titles="CR1, CR 2") as one:
        assert echo(one.port, calling="CR1")
        assert echo(one.port, calling="CR 2")
        assert not echo(one.port, calling="EVIL")
        assert not echo(one.port, called="WRONG", calling="CR1")


def test_only_known_addresses(servers: dict[str, object], tmp_path: Path) -> None:
    with gateway(tmp_path / "log", **servers, sources="127.0.0.2,10.0.0.0/8") as one:
        assert not echo(one.port)
        entity = AE(ae_title="TEST")
        association = entity.associate(
            "127.0.0.1",
            one.port,
            [build_context("1.2.840.10008.1.1")],
            "SOLO",
            bind_address=("127.0.0.2", 0),
        )
        assert association.is_established
        association.release()
        name = "solo_gateway_associations_rejected_total"
        assert sample(one.metrics(), name, reason="source") == 1


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    for name in ("server", "client"):
        write_certificate(folder, name)
    return folder


def test_tls_with_certificates_of_clients(
    servers: dict[str, object], certificates: Path, tmp_path: Path
) -> None:
    with gateway(
        tmp_path / "log",
        **servers,
        associate_seconds=2,
        tls_certificate=certificates / "server.pem",
        tls_key=certificates / "server.key",
        tls_client_ca=certificates / "client.pem",
    ) as one:
        context = ssl.create_default_context(cafile=str(certificates / "server.pem"))
        silent = [connect(one) for _ in range(4)]  # no handshake holds up the next one's
        assert store(one.port, film()) is None
        assert store(one.port, film(), tls_args=(context, "127.0.0.1")) is None
        context.load_cert_chain(certificates / "client.pem", certificates / "client.key")
        begun = time.monotonic()
        assert store(one.port, film(), tls_args=(context, "127.0.0.1")) == 0
        assert time.monotonic() - begun < 2
        for connection in silent:
            connection.close()


def test_ten_films_at_once_take_ten_films_of_memory(process: GatewayProcess) -> None:
    data = film(size=1500)
    with ThreadPoolExecutor(5) as pool:
        answers = [*pool.map(lambda _: store(process.port, data), range(10))]
    assert set(answers) <= {0, 0xA700}
    assert 0 in answers
    assert peak_bytes(process) < MEMORY_BYTES / 2


def test_a_film_may_be_held_for_longer_than_an_association_may_be_silent(tmp_path: Path) -> None:
    def slowly(data: bytes) -> Reply:
        time.sleep(2.5)
        return 200, DICOM, minimal_seg(data)

    with (
        running(StubService(answer=slowly)) as service,
        running(StubArchive()) as archive,
        gateway(tmp_path / "log", service_url=service, dicomweb_url=archive, idle_seconds=1) as one,
    ):
        films = [dcmread(io.BytesIO(film())) for _ in range(2)]
        contexts = [build_context(films[0].SOPClassUID, films[0].file_meta.TransferSyntaxUID)]
        association = AE(ae_title="TEST").associate("127.0.0.1", one.port, contexts, "SOLO")
        answers = []
        for data in films:
            answers.append(association.send_c_store(data).get("Status"))
            time.sleep(0.3)
        association.release()
        assert answers == [0, 0]
        assert association.is_released


def test_an_honest_sender_gets_through_three_hundred_strangers(process: GatewayProcess) -> None:
    def stranger(number: int) -> None:
        with contextlib.suppress(OSError), connect(process) as one:
            one.sendall(struct.pack(">BBL", number % 9, 0, 50 + number) + bytes(40))
            time.sleep(0.3)

    with ThreadPoolExecutor(20) as pool:
        strangers = [pool.submit(stranger, number) for number in range(300)]
        answers = []
        while not all(one.done() for one in strangers):
            answers.append(store(process.port, film()))
            time.sleep(0.1)
    assert {*answers} == {0}


def half_film(process: GatewayProcess) -> socket.socket:
    """A connection that has sent most of a film of 7 MB, and is silent then."""
    data = dcmread(io.BytesIO(film(size=1800)))
    entity = AE(ae_title="HALF")
    contexts = [build_context(data.SOPClassUID, data.file_meta.TransferSyntaxUID)]
    association = entity.associate("127.0.0.1", process.port, contexts, "SOLO")
    assert association.is_established
    assert association.dul.socket is not None
    connection = association.dul.socket.socket
    assert connection is not None
    head = struct.pack(">IBB", 32000 - 4, 1, 0)  # a fragment of a data set, not the last
    association.dul.kill_dul()
    for _ in range(200):
        connection.sendall(struct.pack(">BBL", 4, 0, 32000) + head + bytes(32000 - 6))
    return connection


def test_films_that_are_never_finished_leave_no_memory_taken(
    servers: dict[str, object], tmp_path: Path
) -> None:
    with gateway(
        tmp_path / "log",
        **servers,
        idle_seconds=5,
        max_associations=30,
        memory_bytes=512 * 2**20,
    ) as one:
        halves = []
        for _ in range(24):  # 154 MB, where a quarter of 537 MB may be taken
            with contextlib.suppress(OSError, AssertionError):
                halves.append(half_film(one))
        text = one.metrics()
        name = "solo_gateway_associations_rejected_total"
        assert sample(text, name, reason="memory") > 0
        deadline = time.monotonic() + 20
        while (last := store(one.port, film(size=1800))) != 0 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert last == 0
        for half in halves:
            half.close()
        for _ in range(24):
            assert store(one.port, film(size=1800)) == 0
