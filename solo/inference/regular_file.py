"""Regular files, read whole; what is none, or is too long, is refused in one sentence."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from solo.inference.engine import ModelError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def read_regular(path: Path, name: str, most_bytes: int, *, others_may_write: bool = True) -> bytes:
    """The bytes of a file.

    Args:
        path: of the file.
        name: what it is, for the sentence, such as `model`.
        most_bytes: of the file.
        others_may_write: whether it is believed where its group, or everybody, may write it.

    Raises:
        ModelError: if it cannot be read, or is no file: a pipe would be waited for without end; if
            it is longer; if others may write it and should not.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise ModelError(f"the {name} {path} is a pipe or a device: name a file")
            if not others_may_write and facts.st_mode & _OTHERS_WRITE:
                raise ModelError(
                    f"others may write the {name} {path}, and so decide what it says: chmod go-w it"
                )
            if facts.st_size > most_bytes:
                raise ModelError(
                    f"the {name} {path} has {facts.st_size:,} bytes, and at most {most_bytes:,} "
                    "are read"
                )
            return file.read(facts.st_size)
    except IsADirectoryError:
        raise ModelError(f"the {name} {path} is a folder: name a file in it") from None
    except OSError as error:
        raise ModelError(f"the {name} {path} cannot be read: {error.strerror}") from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
