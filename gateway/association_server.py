"""Bounded associations: who may connect, how many, how long a PDU and a film may be.

pynetdicom reads whatever length a peer announces into memory, does TLS handshakes in the thread
that accepts, and waits for the rest of a PDU without an end.
"""

from __future__ import annotations

import socket
import ssl
import time
from ipaddress import ip_address, ip_network
from threading import Lock, active_count
from typing import Any, Final, cast
from weakref import WeakSet

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from gateway.metrics import Metrics
from gateway.settings import Settings

# An A-ASSOCIATE-RQ with 128 contexts of all syntaxes has a third of it; a P-DATA-TF is shorter than
# what we announce.
_MOST_PDU_BYTES: Final = 2**20
_OTHER_THREADS: Final = 300  # films, health


class ReceivedBytes:
    """Bytes of messages that have not come whole, of all associations together.

    They are asked for, not counted: an association that ends in a way that nobody tells of takes
    its bytes along.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._readers: WeakSet[PduReader] = WeakSet()

    def add(self, reader: PduReader) -> None:
        """Counts a reader in as long as there is one."""
        with self._lock:
            self._readers.add(reader)

    def has_room(self, size: int) -> bool:
        """Whether as many bytes more may come."""
        with self._lock:
            return sum(reader.taken for reader in self._readers) + size <= self._most


class PduReader:
    """Reads from a connection, within limits of bytes and time.

    Args:
        connection: a socket with a time-out.
        most_bytes: of a film; `begin_message` starts to count anew.
        received: of all connections.
        seconds: for each PDU.
        metrics: counts who is cut off.

    Attributes:
        taken: bytes of the message that is coming.
    """

    def __init__(
        self,
        connection: socket.socket,
        most_bytes: int,
        received: ReceivedBytes,
        seconds: float,
        metrics: Metrics,
    ) -> None:
        self._connection, self._most_bytes, self._received = connection, most_bytes, received
        self._seconds, self._metrics = seconds, metrics
        self.taken = 0
        received.add(self)

    def begin_message(self) -> None:
        """A message has come whole, or the connection is at its end."""
        self.taken = 0

    def read(self, size: int) -> bytearray:
        """Reads bytes; fewer where the peer closes.

        Args:
            size: how many, which is the peer's word.

        Raises:
            OSError: if it promises too much, or does not keep it in time.
        """
        reason = self._refusal(size)
        if reason is not None:
            self._metrics.rejected.labels(reason).inc()
            raise OSError(reason)
        self.taken += size
        content = bytearray(size)
        view, read = memoryview(content), 0
        deadline = time.monotonic() + self._seconds
        while read < size:
            if time.monotonic() > deadline:
                raise TimeoutError
            received = self._connection.recv_into(view[read:])
            if not received:
                break
            read += received
        view.release()
        del content[read:]
        return content

    def _refusal(self, size: int) -> str | None:
        if size > _MOST_PDU_BYTES:
            return "pdu-size"
        if self.taken + size > self._most_bytes:
            return "film-size"
        return None if self._received.has_room(size) else "memory"


class _Handler(RequestHandler):
    """Gives each association its reader."""

    def _create_association(self) -> Association:
        association = super()._create_association()
        reader = cast(AssociationServer, self.server).reader(self.request)
        # The method through which all bytes of the peer come.
        setattr(association.dul.socket, "recv", reader.read)  # noqa: B010 - it has a type
        for event in (evt.EVT_DIMSE_RECV, evt.EVT_CONN_CLOSE):
            association.bind(event, lambda _: reader.begin_message())
        return association


class AssociationServer(ThreadedAssociationServer):
    """A server of associations that strangers cannot fill.

    Args:
        entity: names, contexts and time-outs.
        settings: limits, addresses and certificates.
        metrics: counts who is cut off.
        handlers: of pynetdicom's events.

    Attributes:
        alive_at: when it last was ready to accept a connection, on the clock of `time.monotonic`.

    Raises:
        OSError: if the address or a certificate cannot be used.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        entity: AE,
        settings: Settings,
        metrics: Metrics,
        handlers: list[evt.EventHandlerType],
    ) -> None:
        self._settings, self._metrics = settings, metrics
        self._tls = _tls(settings)
        # An association has two; those that have not asked for one yet are bounded as well.
        self._most_threads = _OTHER_THREADS + 6 * settings.max_associations
        # Half of the memory is for the films in work, with what is made of them.
        self._received = ReceivedBytes(settings.memory_bytes // 4)
        self.alive_at = time.monotonic()
        self._networks = [ip_network(one) for one in settings.networks]
        super().__init__(
            entity,
            (settings.host, settings.port),
            settings.ae_title,
            entity.supported_contexts,
            evt_handlers=handlers,
            request_handler=_Handler,
        )
        entity._servers.append(self)  # its `shutdown` takes it from there

    def reader(self, connection: socket.socket) -> PduReader:
        """The reader of a connection."""
        most = self._settings.max_film_bytes
        seconds = self._settings.idle_seconds
        return PduReader(connection, most, self._received, seconds, self._metrics)

    def service_actions(self) -> None:
        """Called several times a second, by the loop that accepts connections."""
        super().service_actions()
        self.alive_at = time.monotonic()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401
        """Whether a connection may go on, before anything of it is read."""
        address = ip_address(client_address[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        if self._networks and not any(mapped in network for network in self._networks):
            return self._reject("source")
        if active_count() >= self._most_threads:
            return self._reject("connections")
        request.settimeout(self._settings.associate_seconds)
        return True

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Does the TLS handshake in the connection's own thread, and begins the association."""
        if self._tls is not None:
            try:
                request = self._tls.wrap_socket(request, server_side=True)
            except (OSError, ValueError):
                self._reject("tls")
                request.close()
                return
        request.settimeout(self._settings.idle_seconds)
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Says nothing: socketserver would write a traceback."""

    def _reject(self, reason: str) -> bool:
        self._metrics.rejected.labels(reason).inc()
        return False


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # 1.2 and 1.3 (BCP 195)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    if settings.tls_client_ca is not None:
        context.load_verify_locations(settings.tls_client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
