"""Associations that strangers cannot fill: who may connect, how many, how often.

pynetdicom does TLS handshakes in the thread that accepts, and makes an association of whatever
connects: silence and garbage would take the places of honest senders.
"""

from __future__ import annotations

import time
from contextlib import suppress
from io import BytesIO
from ipaddress import ip_address, ip_network
from socket import socket
from threading import active_count
from typing import Any, Final

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from gateway.association_request import refusal
from gateway.metrics import Metrics
from gateway.pdu_reader import PduReader, ReceivedBytes
from gateway.settings import Settings
from gateway.tls import server_context

_OTHER_THREADS: Final = 300  # films, health
# More than all modalities of a hospital open. A flood beyond it waits in the listener's queue, and
# films in work have the processor meanwhile.
_MOST_CONNECTIONS_A_SECOND: Final = 200


class _Handler(RequestHandler):
    """Begins an association with a request that has been read."""

    def __init__(
        self,
        connection: socket,
        address: Any,  # noqa: ANN401 - of IPv4 or IPv6
        server: AssociationServer,
        reader: PduReader,
        request: bytes,
    ) -> None:
        self._reader, self._associate_request = reader, request
        super().__init__(connection, address, server)

    def _create_association(self) -> Association:
        association = super()._create_association()
        reader = self._reader
        # The method through which all bytes of the peer come.
        source: Any = association.dul.socket
        source.recv = BytesIO(self._associate_request).read
        association.dul._read_pdu_data()
        source.recv = reader.read
        association.bind(evt.EVT_CONN_CLOSE, lambda _: reader.begin_message())
        association.bind(evt.EVT_DIMSE_RECV, lambda _: self._received(association))
        return association

    def _received(self, association: Association) -> None:
        """What comes before the answer to a message waits in memory, and is counted on."""
        if association.dimse.msg_queue.empty():
            self._reader.begin_message()


class AssociationServer(ThreadedAssociationServer):
    """A server of associations that strangers cannot fill.

    Args:
        entity: contexts and time-outs.
        settings: names, limits, addresses and certificates.
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
        self._tls = server_context(settings)
        # An association has two; those that have not asked for one yet are bounded as well.
        self._most_threads = _OTHER_THREADS + 6 * settings.max_associations
        # Half of the memory is for the films in work, with what is made of them.
        self._received = ReceivedBytes(settings.memory_bytes // 4)
        self.alive_at = self._due_at = time.monotonic()
        self._networks = [ip_network(one) for one in settings.networks]
        super().__init__(
            entity,
            (settings.host, settings.port),
            settings.ae_title,
            entity.supported_contexts,
            evt_handlers=handlers,
        )
        entity._servers.append(self)  # its `shutdown` takes it from there

    def service_actions(self) -> None:
        """Called several times a second, by the loop that accepts connections."""
        super().service_actions()
        self.alive_at = time.monotonic()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401
        """Whether a connection may go on, before anything of it is read."""
        self._keep_pace()
        address = ip_address(client_address[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        if self._networks and not any(mapped in network for network in self._networks):
            return self._reject("source")
        if active_count() >= self._most_threads:
            return self._reject("connections")
        request.settimeout(self._settings.associate_seconds)
        return True

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Does the TLS handshake, reads what is asked for, and begins the association.

        All this in the connection's own thread.
        """
        settings = self._settings
        if self._tls is not None:
            try:
                request = self._tls.wrap_socket(request, server_side=True)
            except (OSError, ValueError):
                self._reject("tls")
                request.close()
                return
        reader = PduReader(
            request,
            settings.max_film_bytes,
            self._received,
            settings.idle_seconds,
            self._metrics,
        )
        if first := self._association_request(request, reader):
            request.settimeout(settings.idle_seconds)
            _Handler(request, client_address, self, reader, first)
        else:
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Says nothing: socketserver would write a traceback."""

    def _association_request(self, connection: socket, reader: PduReader) -> bytes | None:
        """What a connection asks for, or None where it is answered already."""
        try:
            request = reader.request(self._settings.associate_seconds)
        except TimeoutError:
            self._reject("request")
            return None
        except OSError:  # of those that are cut off, the reader has counted each
            return None
        if not request:  # a balancer has looked whether the port is open
            return None
        refused = refusal(request, self._settings.ae_title, self._settings.callers)
        if refused is not None:
            reason, answer = refused
            self._reject(reason)
            with suppress(OSError):
                connection.sendall(answer)
            return None
        return request

    def _keep_pace(self) -> None:
        """Waits where connections come faster than they may; a second's worth may come at once."""
        now = time.monotonic()
        self._due_at = max(self._due_at, now - 1) + 1 / _MOST_CONNECTIONS_A_SECOND
        time.sleep(max(self._due_at - now, 0))

    def _reject(self, reason: str) -> bool:
        self._metrics.rejected.labels(reason).inc()
        return False
