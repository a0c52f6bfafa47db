"""Association requests that no standard allows, and names that are not known (PS3.8 7.1.1, 9.3)."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest
from pynetdicom import AE, build_context
from pynetdicom.presentation import PresentationContext

from gateway.association_request import refusal
from tests.support.gateways import GatewayProcess, echo, gateway
from tests.support.stub_servers import StubArchive, StubService, running, sample

ACCEPTED, REJECTED, ABORTED = 2, 3, 7
VERIFICATION, IMPLICIT = b"1.2.840.10008.1.1", b"1.2.840.10008.1.2"


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def pdu(ids: Sequence[int], called: bytes = b"SOLO", calling: bytes = b"TEST") -> bytes:
    """An A-ASSOCIATE-RQ, byte by byte."""
    syntaxes = item(0x30, VERIFICATION) + item(0x40, IMPLICIT)
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16), calling.ljust(16))
    body += item(0x10, b"1.2.840.10008.3.1.1.1")
    body += b"".join(item(0x20, bytes([one, 0, 0, 0]) + syntaxes) for one in ids)
    body += item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3"))
    return struct.pack(">BBL", 1, 0, len(body)) + body


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with (
        running(StubService()) as service,
        running(StubArchive()) as archive,
        gateway(
            tmp_path_factory.mktemp("gateway") / "log",
            service_url=service,
            dicomweb_url=archive,
            calling_ae_titles="TEST,CR 2",
            associate_seconds=1,
        ) as one,
    ):
        yield one


def asked(process: GatewayProcess, request: bytes) -> bytes:
    """What is answered to a connection's first bytes."""
    with socket.create_connection(("127.0.0.1", process.port), 10) as connection:
        connection.sendall(request)
        answer = b""
        with suppress(ConnectionError):
            while len(answer) < 10 and (some := connection.recv(10)):
                answer += some
        return answer[:10]


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        ([1], ACCEPTED),
        ([255, 1], ACCEPTED),
        (range(1, 256, 2), ACCEPTED),
        ([*range(1, 256, 2), 1], ABORTED),  # 129, whose IDs wrap
        ([1, 1], ABORTED),
        ([2], ABORTED),
        ([1, 3, 0], ABORTED),
    ],
    ids=["one", "two", "128", "129", "twice", "even", "zero"],
)
def test_contexts_have_odd_ids_of_their_own(
    process: GatewayProcess, ids: Sequence[int], kind: int
) -> None:
    answer = asked(process, pdu(ids))
    assert answer[0] == kind
    if kind == ABORTED:  # by the service provider, invalid PDU parameter value
        assert answer[-2:] == b"\x02\x06"


@pytest.mark.parametrize(
    ("names", "answer"),
    [
        ((b"WRONG", b"TEST"), b"\x01\x01\x07"),
        ((b"SOL", b"TEST"), b"\x01\x01\x07"),
        ((b"SOLO", b"EVIL"), b"\x01\x01\x03"),
        ((b"SOLO", b"TES"), b"\x01\x01\x03"),
    ],
)
def test_names_that_are_not_known(
    process: GatewayProcess, names: tuple[bytes, bytes], answer: bytes
) -> None:
    assert asked(process, pdu([1], *names)) == b"\x03\0\0\0\0\x04\0" + answer
    assert asked(process, pdu([1], b"  SOLO", b"CR 2"))[0] == ACCEPTED


@pytest.mark.parametrize(
    "request_bytes",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\x04\0\0\0\0\x02ab", pdu([1])[:60]],
    ids=["http", "tls", "data", "half"],
)
def test_what_is_no_request_is_cut_off(process: GatewayProcess, request_bytes: bytes) -> None:
    before = cut_off(process)
    asked(process, request_bytes)
    assert cut_off(process) == before + 1
    assert echo(process.port)


def test_a_look_whether_the_port_is_open_is_no_strangers(process: GatewayProcess) -> None:
    before = cut_off(process)
    socket.create_connection(("127.0.0.1", process.port), 10).close()
    time.sleep(0.2)
    assert cut_off(process) == before


def cut_off(process: GatewayProcess) -> float:
    name = "solo_gateway_associations_rejected_total"
    return sample(process.metrics(), name, reason="request")


def test_requests_of_other_programs_go_on() -> None:
    """128 contexts, as pynetdicom itself writes them."""
    entity = AE(ae_title="CR1")
    contexts: list[PresentationContext] = [
        build_context(f"1.2.840.10008.5.1.4.1.1.{number}") for number in range(1, 129)
    ]
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        entity.acse_timeout = 0.3
        port = server.getsockname()[1]
        entity.associate("127.0.0.1", port, contexts, "SOLO")
        connection, _ = server.accept()
        with connection:
            head = connection.recv(6)
            request = head + connection.recv(2**20, socket.MSG_WAITALL)[: _length(head)]
    assert refusal(request, "SOLO", []) is None
    assert refusal(request, "SOLO", ["CR1"]) is None


def _length(head: bytes) -> int:
    return int.from_bytes(head[2:], "big")


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_no_request_is_too_short_to_be_judged(cut: int) -> None:
    for data in (pdu([1, 3])[:cut], pdu([1, 3])[:cut] + b"\xff" * 20):
        found = refusal(data, "SOLO", [])
        assert found is None or found[0] in ("request", "refused", "contexts")
