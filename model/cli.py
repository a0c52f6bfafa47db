"""Command-line conventions: an answer, or a plain sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

INTERRUPTED = 130  # as shells count a process that Ctrl-C ended


class Interrupted(KeyboardInterrupt):
    """A signal that a command answered in order.

    Attributes:
        exit_code: as shells count a process that the signal ended.
    """

    def __init__(self, signal_number: int, sentence: str) -> None:
        super().__init__(sentence)
        self.exit_code = 128 + signal_number


def finish(
    work: Callable[[], None],
    *errors: type[Exception],
    before: str = "",
    interrupted: str = "interrupted",
) -> int:
    """Runs a command; errors go to the error stream as sentences, without a traceback.

    Args:
        work: the command.
        errors: what it may raise, beside ValueError and OSError.
        before: stands before each sentence.
        interrupted: what is said after Ctrl-C.

    Returns:
        The exit code: 0, 1 for what cannot be done, 130 after Ctrl-C.
    """
    told: tuple[type[Exception], ...] = (ValueError, OSError, *errors)
    try:
        work()
    except Interrupted as signal:
        tell(f"\n{before}{signal}")
        return signal.exit_code
    except KeyboardInterrupt:
        tell(f"\n{before}{interrupted}")  # below the progress bar
        return INTERRUPTED
    except told as error:
        tell(f"{before}{_sentence(error)}")
        return 1
    return 0


def tell(sentence: str) -> None:
    """Prints on the error stream what is no part of the answer."""
    print(sentence, file=sys.stderr)  # noqa: T201


def tell_replacement(path: Path) -> None:
    """Says that a file of this name will be replaced, where there is one."""
    if path.exists():
        tell(f"{path} is there already: it is replaced")


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
