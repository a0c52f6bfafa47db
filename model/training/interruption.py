"""Interruption of a run by Ctrl-C or SIGTERM: granted after the step, so that nothing is lost."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Context in which Ctrl-C and SIGTERM are remembered in place of ending the process.

    Attributes:
        signal_number: of the one that came, 0 before.

    Args:
        patient: whether a second one is remembered too. torchrun sends its processes another one
            after the terminal's; a process that trains alone ends at once.
    """

    def __init__(self, *, patient: bool) -> None:
        self.signal_number = 0
        self._patient = patient
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():  # others cannot have handlers
            self._before = {each: signal.signal(each, self._remember) for each in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _remember(self, signal_number: int, _: FrameType | None) -> None:
        if self.signal_number and not self._patient:
            raise KeyboardInterrupt
        self.signal_number = signal_number


def leave_signals_to_the_trainer(_: int) -> None:
    """Start of a process that prepares samples: the trainer ends it when it is done itself."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
