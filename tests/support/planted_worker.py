"""A decoder's process in which some files do what a broken decoder might do."""

from __future__ import annotations

import os
import signal

from app.decoding.decode import decode
from app.decoding.radiograph import Limits, Radiograph
from app.isolation import worker

HANG, SEGFAULT, ABORT, EXIT, BOMB, FAULT, NOISE = (
    b"hang", b"segfault", b"abort", b"exit", b"bomb", b"fault", b"noise",
)  # fmt: skip


def planted(data: bytes | memoryview, limits: Limits, frame: int = 0) -> Radiograph:
    """`decode`, but for the files above."""
    match bytes(data[:8]):
        case b"hang":
            signal.raise_signal(signal.SIGSTOP)
        case b"segfault":
            signal.raise_signal(signal.SIGSEGV)
        case b"abort":
            signal.raise_signal(signal.SIGABRT)
        case b"exit":
            os._exit(1)
        case b"bomb":
            hoard = []
            while True:
                hoard.append(bytearray(2**24))
        case b"fault":
            raise RuntimeError("Planted^Patient")
        case b"noise":
            os.write(2, b"Planted^Patient in a warning of a C library")
            os.write(1, b"Planted^Patient in a warning of a C library")
    return decode(data, limits, frame)


if __name__ == "__main__":
    vars(worker)["decode"] = planted
    worker.main()
