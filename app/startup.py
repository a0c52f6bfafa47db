"""The first moments of the process, before the libraries are loaded, which takes a second."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable

from app.logging import configure_logging, write
from solo import __version__

_logger = logging.getLogger("app.startup")


class Hangup:
    """SIGHUP, which never ends the process; one that comes early is kept for who acts on it."""

    def __init__(self) -> None:
        self._act: Callable[[], None] | None = None
        self._kept = False
        signal.signal(signal.SIGHUP, lambda *_: self._come())

    def lead_to(self, act: Callable[[], None]) -> None:
        """Names what a SIGHUP does from now on, and did until now."""
        self._act = act
        if self._kept:
            act()

    def _come(self) -> None:
        if self._act is not None:
            self._act()
        else:
            self._kept = True


def begin() -> Hangup:
    """Makes the process fit for what may come at any moment, and says that it starts."""
    _open_standard_files()
    hangup = Hangup()
    for told in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(told) is not signal.SIG_IGN:
            signal.signal(told, _end)  # until the server drains instead
    configure_logging()
    write(_logger, "starting", version=__version__)
    return hangup


def _end(*_: object) -> None:
    """Ends a start that is told to stop: there is nothing at hand yet.

    The first process of a container has no default action, which would do it for any other.
    """
    logging.shutdown()
    os._exit(0)


def _open_standard_files() -> None:
    """Opens those that were closed as nothing: a socket of that number would get the log."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
