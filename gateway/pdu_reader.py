"""Reading of PDUs within limits of bytes and time (PS3.8 9.3).

pynetdicom reads whatever length a peer announces into memory, and waits for the rest of a PDU
without an end.
"""

from __future__ import annotations

import socket
import time
from threading import Lock
from typing import Final
from weakref import WeakSet

from gateway.metrics import Metrics

_MOST_PDU_BYTES: Final = 2**20  # a P-DATA-TF is shorter than what we announce
# 128 contexts with thirty syntaxes each are shorter; strangers may promise as much, each.
_MOST_REQUEST_BYTES: Final = 2**17
_HEAD_BYTES: Final = 6
_ASSOCIATE_REQUEST: Final = 1


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

    def request(self, seconds: float) -> bytes:
        """Reads an association request, which has to come first.

        Args:
            seconds: in which it has to come whole.

        Returns:
            The PDU; less than that where the peer closes, or begins with anything else.

        Raises:
            OSError: as `read`.
        """
        deadline = time.monotonic() + seconds
        head = self._read(_HEAD_BYTES, deadline)
        if len(head) < _HEAD_BYTES or head[0] != _ASSOCIATE_REQUEST:
            return bytes(head)
        size = int.from_bytes(head[2:], "big")
        return bytes(head + self._read(size, deadline, _MOST_REQUEST_BYTES))

    def read(self, size: int) -> bytearray:
        """Reads bytes; fewer where the peer closes.

        Args:
            size: how many, which is the peer's word.

        Raises:
            OSError: if it promises too much, or does not keep it in time.
        """
        return self._read(size, time.monotonic() + self._seconds)

    def _read(self, size: int, deadline: float, most: int = _MOST_PDU_BYTES) -> bytearray:
        reason = "pdu-size" if size > most else self._refusal(size)
        if reason is not None:
            self._metrics.rejected.labels(reason).inc()
            raise OSError(reason)
        self.taken += size
        content = bytearray(size)
        view, read = memoryview(content), 0
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
        if self.taken + size > self._most_bytes:
            return "film-size"
        return None if self._received.has_room(size) else "memory"
