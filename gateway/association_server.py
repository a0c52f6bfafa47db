"""Bounded associations: who may connect, how many, how long a PDU and a film may be.

pynetdicom reads whatever length a peer announces into memory, does TLS handshakes in the thread
that accepts, and waits for the rest of a PDU without an end.
"""

from __future__ import annotations

import socket
import ssl
import time
from ipaddress import ip_address, ip_network
from typing import Any, Final, cast

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from gateway.metrics import Metrics
from gateway.settings import Settings

# An A-ASSOCIATE-RQ with 128 contexts of all syntaxes has a third of it; a P-DATA-TF is shorter than
# what we announce.
_MOST_PDU_BYTES: Final = 2**20
_CONNECTIONS_AN_ASSOCIATION: Final = 4


class PduReader:
    """Reads from a connection, within limits of bytes and time.

    Args:
        connection: a socket with a time-out.
        most_bytes: of a film; `begin_message` starts to count anew.
        seconds: for each PDU.
        metrics: counts who is cut off.
    """

    def __init__(
        self, connection: socket.socket, most_bytes: int, seconds: float, metrics: Metrics
    ) -> None:
        self._connection, self._most_bytes = connection, most_bytes
        self._seconds, self._metrics = seconds, metrics
        self._taken = 0

    def begin_message(self) -> None:
        """A message has come whole."""
        self._taken = 0

    def read(self, size: int) -> bytearray:
        """Reads bytes; fewer where the peer closes.

        Args:
            size: how many, which is the peer's word.

        Raises:
            OSError: if it promises too much, or does not keep it in time.
        """
        self._taken += size
        over = "pdu-size" if size > _MOST_PDU_BYTES else "film-size"
        if over == "pdu-size" or self._taken > self._most_bytes:
            self._metrics.rejected.labels(over).inc()
            raise OSError(over)
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


class _Handler(RequestHandler):
    """Gives each association its reader."""

    def _create_association(self) -> Association:
        association = super()._create_association()
        reader = cast(AssociationServer, self.server).reader(self.request)
        # The method through which all bytes of the peer come.
        setattr(association.dul.socket, "recv", reader.read)  # noqa: B010 - it has a type
        association.bind(evt.EVT_DIMSE_RECV, lambda _: reader.begin_message())
        return association


class AssociationServer(ThreadedAssociationServer):
    """A server of associations that strangers cannot fill.

    Args:
        entity: names, contexts and time-outs.
        settings: limits, addresses and certificates.
        metrics: counts who is cut off.
        handlers: of pynetdicom's events.

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
        return PduReader(connection, most, self._settings.idle_seconds, self._metrics)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401
        """Whether a connection may go on, before anything of it is read."""
        address = ip_address(client_address[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        if self._networks and not any(mapped in network for network in self._networks):
            return self._reject("source")
        most = self._settings.max_associations * _CONNECTIONS_AN_ASSOCIATION
        if len(self.active_associations) >= most:
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
