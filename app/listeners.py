"""Listening sockets, opened before the model: an address that cannot be had is told at once."""

from __future__ import annotations

import errno
import socket
from typing import Final

from app.settings import SettingsError

_BACKLOG: Final = 2048
_SENTENCES: Final = {
    errno.EADDRINUSE: "port {port} on {host} is taken by another program: stop it or set SOLO_PORT",
    errno.EADDRNOTAVAIL: "SOLO_HOST={host} is no address of this machine: set one that it has, "
    "127.0.0.1 for itself alone or 0.0.0.0 for all of its own",
    errno.EACCES: "port {port} may not be opened by this user: set SOLO_PORT to 1024 or more",
}


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Listens on every address of a host, as asyncio does.

    Args:
        host: address, or a name that the machine knows.
        port: TCP port.

    Raises:
        SettingsError: if none of them can be had, or one is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingsError(
            f"SOLO_HOST={host} is not known: set an address, such as 127.0.0.1, or a name of this "
            "machine"
        ) from None
    listeners: list[socket.socket] = []
    fault: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            listeners.append(_listen(socket.socket(family, kind, protocol), address))
        except OSError as error:
            fault = error
            if error.errno == errno.EADDRINUSE:
                break
    if fault is not None and (not listeners or fault.errno == errno.EADDRINUSE):
        for listener in listeners:
            listener.close()
        sentence = _SENTENCES.get(fault.errno or 0, "SOLO_HOST={host} cannot be listened on: {why}")
        raise SettingsError(sentence.format(host=host, port=port, why=fault.strerror)) from fault
    return listeners


def _listen(listener: socket.socket, address: tuple[object, ...]) -> socket.socket:
    try:
        # A port is free again at once, although connections of a service that ended linger there.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        # Now, since two that do not listen yet may have one port.
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
