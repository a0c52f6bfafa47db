"""Sandboxed decoder process: `python -m solo.sandbox.worker CONFIG`.

Imports what decodes and nothing else: neither the web, the runtime nor pydantic.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import traceback
from mmap import PROT_READ, mmap
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from solo.decoding.canvas import in_8_bits, on_canvas
from solo.decoding.codecs.memory import shortage_of_memory
from solo.decoding.decode import decode
from solo.decoding.dicom.codestreams import load_decoders
from solo.decoding.quiet import quieten_decoders
from solo.decoding.radiograph import Limits
from solo.errors import DecoderMemoryError, SoloError
from solo.sandbox.footprint import Footprint
from solo.sandbox.header_transfer import PackedHeader, Table, pack_header
from solo.sandbox.limits import confine, end_with, silence
from solo.sandbox.protocol import (
    KEPT_BYTES,
    MAX_MESSAGE_BYTES,
    SIGN_OF_LIFE,
    Job,
    Report,
    WorkerConfig,
    pack,
    unpack_config,
)

_DEEPEST_PLACE = 3


class Decoder:
    """Decodes what lies in the upload's memory into the output's.

    Args:
        config: where both are.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self._upload = config.upload
        self._kept = memoryview(mmap(config.upload, KEPT_BYTES, prot=PROT_READ))
        self._canvas_size = config.canvas_size
        self._limits = Limits(config.max_pixels)
        # Mapped and not written to: the process may not let any file grow, this one included.
        output = np.frombuffer(mmap(config.output, config.output_bytes), np.uint8)
        self._canvas = output[: config.canvas_bytes].view(np.float32).reshape(self._canvas_size)
        self._rest = output[config.canvas_bytes :]

    def answer(self, job: Job) -> Report:
        """Does one job; every exception becomes a report."""
        try:
            return self._decode(job)
        except SoloError as error:
            return Report(refusal=(error.kind, error.detail))
        except MemoryError:
            detail = "decoding the file takes more memory than one file may have"
            return Report(refusal=(DecoderMemoryError.kind, detail))
        except Exception as error:
            return Report(fault=(type(error).__name__, _place(error)))

    @shortage_of_memory()
    def _decode(self, job: Job) -> Report:
        radiograph = decode(self._file(job.length), self._limits, job.frame)
        self._canvas[:] = on_canvas(radiograph.pixels, self._canvas_size)
        header: PackedHeader | None = None
        tables: list[Table] = []
        if job.header and radiograph.source_header is not None:
            header, tables = pack_header(radiograph.source_header())
        if job.pixels == "cells":
            stored = radiograph.stored()
            self._put(*tables, *stored.arrays)
            return Report(info=radiograph.info, display=stored.display, header=header)
        grey = [in_8_bits(radiograph.pixels)] if job.pixels == "grey" else []
        self._put(*tables, *grey)
        return Report(info=radiograph.info, header=header)

    def _put(self, *arrays: npt.NDArray[Any]) -> None:
        """Writes arrays behind the canvas, one after the other."""
        rest = self._rest
        for array in arrays:
            rest[: array.nbytes].view(array.dtype).reshape(array.shape)[:] = array
            rest = rest[array.nbytes :]

    def _file(self, length: int) -> memoryview:
        """The file where it lies: the service writes no other there before this one's report."""
        if length <= KEPT_BYTES:
            return self._kept[:length]
        return memoryview(mmap(self._upload, length, prot=PROT_READ))


def serve(decoder: Decoder, descriptor: int) -> None:
    """Answers jobs until the parent closes its end, or a job has left much of its memory."""
    footprint = Footprint()
    with socket.socket(fileno=descriptor) as control:
        control.send(pack(SIGN_OF_LIFE))
        while footprint.shrink() and (message := control.recv(MAX_MESSAGE_BYTES)):
            control.send(pack(SIGN_OF_LIFE))  # from here on the file may be to blame
            control.send(pack(decoder.answer(Job(**json.loads(message)))))


def main() -> None:
    """Gives up privileges and memory beyond its limits, then serves."""
    config = unpack_config(sys.argv[1])
    end_with(config.parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quieten_decoders()
    cv2.setNumThreads(1)  # films run in parallel, not the rows of one
    load_decoders()  # what they take is no file's, and the first file does not wait for them
    decoder = Decoder(config)
    confine(config.memory_bytes)
    silence()
    serve(decoder, config.control)


def _place(error: BaseException) -> str:
    """The innermost calls of an exception; its text may quote the file."""
    frames = traceback.extract_tb(error.__traceback__)[-_DEEPEST_PLACE:]
    return " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
        for frame in reversed(frames)
    )


if __name__ == "__main__":
    main()
