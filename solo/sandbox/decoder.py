"""The interface of decoders, and the one that decodes in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Protocol

import numpy as np
import numpy.typing as npt

from solo.decoding.canvas import in_8_bits, on_canvas
from solo.decoding.codecs.memory import shortage_of_memory
from solo.decoding.decode import decode
from solo.decoding.dicom.source_header import SourceHeader
from solo.decoding.quiet import quieten_decoders
from solo.decoding.radiograph import Limits, Radiograph, RadiographInfo
from solo.decoding.raster import radiograph_of
from solo.decoding.stored_pixels import PixelsWanted, StoredPixels
from solo.errors import DecoderMemoryError


@dataclass(frozen=True)
class DecodedRadiograph:
    """A decoded frame on the model's canvas.

    Attributes:
        info: the facts of it.
        canvas: float32 [H, W] in [0, 1].
        pixels: uint8 [height, width], if they were asked for.
        seconds: that it took, waiting for a free decoder not counted.
        stored: the stored pixels, if they were asked for.
        header: what DICOM results copy, if it was asked for and the file is DICOM.
    """

    info: RadiographInfo
    canvas: npt.NDArray[np.float32]
    pixels: npt.NDArray[np.uint8] | None
    seconds: float
    stored: StoredPixels | None = None
    header: SourceHeader | None = None


class StillDecodingError(asyncio.CancelledError):
    """Who waited was cancelled, and the decoder goes on with the file.

    Attributes:
        work: done when the decoder is free again.
    """

    def __init__(self, work: asyncio.Future[DecodedRadiograph]) -> None:
        super().__init__()
        self.work = work


class RadiographDecoder(Protocol):
    """A decoder: turns files into canvases.

    Attributes:
        width: how many files it decodes at once.
    """

    width: int

    async def start(self) -> None:
        """Returns when files can come."""

    async def stop(self) -> None:
        """Leaves nothing running."""

    async def decode(
        self,
        data: bytes | Sequence[bytes],
        frame: int,
        wants_pixels: PixelsWanted = "none",
        *,
        wants_header: bool = False,
    ) -> DecodedRadiograph:
        """Decodes a file.

        Args:
            data: its bytes, in one piece or in many.
            frame: which frame, from 0.
            wants_pixels: what is wanted beside the canvas.
            wants_header: whether the source header of a DICOM file is wanted.

        Raises:
            SoloError: the error that the file deserves.
            StillDecodingError: if it is cancelled and the file is not.
        """


class InProcessDecoder:
    """Decodes in threads of this process: for files that somebody vouches for.

    A file that breaks its decoder breaks the process; `DecoderPool` is for those of strangers.

    Args:
        width: number of threads.
        canvas_size: (height, width) of the model's canvas.
        limits: what a file may ask for.
    """

    def __init__(self, width: int, canvas_size: tuple[int, int], limits: Limits) -> None:
        self.width = width
        self._canvas_size, self._limits = canvas_size, limits
        self._threads = ThreadPoolExecutor(width, thread_name_prefix="decode")

    async def start(self) -> None:
        """See `RadiographDecoder`."""
        quieten_decoders()

    async def stop(self) -> None:
        """See `RadiographDecoder`."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def decode(
        self,
        data: bytes | Sequence[bytes],
        frame: int,
        wants_pixels: PixelsWanted = "none",
        *,
        wants_header: bool = False,
    ) -> DecodedRadiograph:
        """See `RadiographDecoder`."""
        work = partial(self._decode, data, frame, wants_pixels, wants_header)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _decode(
        self,
        data: bytes | Sequence[bytes],
        frame: int,
        wants_pixels: PixelsWanted,
        wants_header: bool,
    ) -> DecodedRadiograph:
        started = perf_counter()
        whole = data if isinstance(data, bytes) else b"".join(data)
        try:
            radiograph = decode(whole, self._limits, frame)
            decoded = _on_canvas(radiograph, self._canvas_size, wants_pixels, started)
            if wants_header and radiograph.source_header is not None:
                return replace(decoded, header=radiograph.source_header())
            return decoded
        except MemoryError:
            raise DecoderMemoryError("decoding the file takes more memory than there is") from None


def decode_pixels(
    pixels: npt.NDArray[np.generic],
    frame: int,
    canvas_size: tuple[int, int],
    limits: Limits,
    wants_pixels: PixelsWanted = "none",
) -> DecodedRadiograph:
    """Puts pixels on the canvas that are in memory already.

    Args:
        pixels: uint8 or uint16 [height, width], or [height, width, 3] in the order red, green,
            blue; 8 bits are grey as stored, 16 bits are stretched between percentiles.
        frame: has to be 0.
        canvas_size: (height, width) of the model's canvas.
        limits: what it may ask for.
        wants_pixels: what is wanted beside the canvas.

    Raises:
        MalformedError: for an array of another shape or dtype.
        ImageTooLargeError: above the pixel limit.
        InvalidParameterError: for another frame.
    """
    started = perf_counter()
    return _on_canvas(radiograph_of(pixels, limits, frame), canvas_size, wants_pixels, started)


@shortage_of_memory()
def _on_canvas(
    radiograph: Radiograph, canvas_size: tuple[int, int], wants_pixels: PixelsWanted, started: float
) -> DecodedRadiograph:
    canvas = on_canvas(radiograph.pixels, canvas_size)
    pixels = in_8_bits(radiograph.pixels) if wants_pixels == "grey" else None
    stored = radiograph.stored() if wants_pixels == "cells" else None
    return DecodedRadiograph(radiograph.info, canvas, pixels, perf_counter() - started, stored)
