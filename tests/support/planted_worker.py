"""A decoder's process in which some files do what a broken decoder might do."""

from __future__ import annotations

import math
import os
import signal
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from solo.decoding.decode import decode
from solo.decoding.pixel_spacing import PixelSpacing
from solo.decoding.radiograph import Limits, Radiograph, RadiographInfo
from solo.decoding.stored_pixels import Display
from solo.decoding.window import Window
from solo.sandbox import worker
from solo.sandbox.protocol import Job, Report, unpack_config
from solo.sandbox.worker import Decoder

HANG, SEGFAULT, ABORT, EXIT, BOMB, FAULT, NOISE, FRAGMENTS, LEAK = (
    b"hang", b"segfault", b"abort", b"exit", b"bomb", b"fault", b"noise", b"fragment", b"leak",
)  # fmt: skip
NONSENSE: dict[bytes, tuple[float, dict[str, Any]]] = {
    b"no number": (math.nan, {}),
    b"too white": (1.01, {}),
    b"gigapixels": (0, {"height": 10**5, "width": 10**5}),
    b"another frame": (0, {"frame": 1, "frames": 2}),
    b"infinite": (0, {"pixel_spacing": PixelSpacing(math.inf, 0.1, "detector")}),
    b"a name": (0, {"grey": "Planted^Patient"}),
}
"""A canvas' grey and facts that no decoder of ours answers with."""
_DISPLAY = Display(8, Window(1, 2, "LINEAR"), inverted=False)
UNBELIEVABLE: dict[bytes, tuple[float, Display | None, int]] = {
    b"no display": (0, None, 0),
    b"no centre": (0, replace(_DISPLAY, window=Window(math.nan, 2, "LINEAR")), 0),
    b"no width": (0, replace(_DISPLAY, window=Window(1, 0, "LINEAR")), 0),
    b"infinite width": (0, replace(_DISPLAY, window=Window(1, math.inf, "LINEAR")), 0),
    b"12 bits": (0, replace(_DISPLAY, bits=12), 0),  # type: ignore[arg-type]
    b"infinite values": (math.inf, _DISPLAY, 0),
    b"less memory": (0, _DISPLAY, 1100),
}
"""Modality values, a display and a length of the memory behind the canvas that no decoder has."""
HANG_ONCE = b"hangonce"
"""Before a path, a newline and a file: hangs with the file, unless something is at the path."""
_KEPT: list[bytearray] = []
_INFO = RadiographInfo(4, 4, 0, 1, "as_stored", None, kind="png", encoding="png")
_SIGNALS = {HANG: signal.SIGSTOP, SEGFAULT: signal.SIGSEGV, ABORT: signal.SIGABRT}


def planted_answer(decoder: Decoder, job: Job) -> Report:
    """`Decoder.answer`, but for the files above."""
    data = bytes(decoder._file(job.length))
    if data in UNBELIEVABLE:
        value, display, length = UNBELIEVABLE[data]
        decoder._rest[256 : 256 + 4 * 256].view(np.float32)[:] = value
        if length:
            output = unpack_config(sys.argv[1]).output
            os.ftruncate(output, decoder._canvas.nbytes + length)
        return Report(info=_INFO, display=display)
    if data not in NONSENSE:
        return Decoder.answer(decoder, job)
    grey, changes = NONSENSE[data]
    decoder._canvas[:] = grey
    return Report(info=replace(_INFO, **changes))


def hang_once(data: bytes) -> bytes:
    """The file in it, the second time."""
    path, _, file = data.partition(b"\n")
    if not os.path.exists(path):
        os.mkdir(path)
        signal.raise_signal(signal.SIGSTOP)
    return file


def planted(data: bytes | memoryview, limits: Limits, frame: int = 0) -> Radiograph:
    """`decode`, but for the files above."""
    match bytes(data[:8]):
        case b"hangonce":
            data = hang_once(bytes(data[8:]))
        case b"hang" | b"segfault" | b"abort" as order:
            signal.raise_signal(_SIGNALS[order])
        case b"exit":
            os._exit(1)
        case b"bomb":
            hoard = []
            while True:
                hoard.append(bytearray(2**24))
        case b"fault":
            raise RuntimeError("Planted^Patient")
        case b"fragment":
            hoard = [bytearray(2**16) for _ in range(2**12)]
            _KEPT.append(hoard[-1])
        case b"leak":
            _KEPT.append(bytearray(2**28))
        case b"noise":
            os.write(2, b"Planted^Patient in a warning of a C library")
            os.write(1, b"Planted^Patient in a warning of a C library")
    return decode(data, limits, frame)


if __name__ == "__main__":
    vars(worker)["decode"] = planted
    vars(worker)["Decoder"] = type("Planted", (Decoder,), {"answer": planted_answer})
    worker.main()
