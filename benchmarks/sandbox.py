"""The cost of the sandbox: files through decoder processes, beside the same in this process.

    python -m benchmarks.sandbox [--repeats N]

The two take turns on films of 2500 x 3000 pixels; the ratio of each turn is what to compare: of the
time that passes, which a busy machine lengthens for each process that has to wake up, and of the
processor time of all processes. Also prints what an idle decoder takes of the memory.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
from pathlib import Path
from time import perf_counter, process_time

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLosslessSV1, RLELossless

from benchmarks.made_film import large_film
from solo.contract.letterbox import Letterbox
from solo.decoding.decode import decode
from solo.decoding.quiet import quieten_decoders
from solo.decoding.radiograph import Limits
from solo.sandbox.pool import DecoderPool
from tests.support.encapsulated import EXACT, encoded_file

CANVAS = (256, 256)
LIMITS = Limits(50_000_000)
_WARM_UP = 3


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sandbox")
    parser.add_argument("--repeats", type=int, default=30)
    arguments = parser.parse_args()
    quieten_decoders()
    cv2.setNumThreads(1)
    asyncio.run(measure(arguments.repeats))


async def measure(repeats: int) -> None:
    """Times each kind of file and prints a line for it."""
    pool = DecoderPool(2, CANVAS, LIMITS, 60.0, print)
    await pool.start()
    try:
        for pid in decoder_pids():
            print(f"an idle decoder: {', '.join(memory_of(pid))}")
        print(f"{'2500 x 3000':<20}{'MB':>7}{'here ms':>10}{'apart ms':>10}{'ratio':>8}{'CPU':>8}")
        for name, data in films().items():
            here, apart = [], []
            for turn in range(repeats + _WARM_UP):
                times = [now()]
                await asyncio.to_thread(decode_here, data)
                times.append(now())
                await pool.decode(data, 0)
                times.append(now())
                if turn >= _WARM_UP:
                    here.append(times[1] - times[0])
                    apart.append(times[2] - times[1])
            ratios = np.median(np.array(apart) / np.array(here), axis=0)
            milliseconds = [1e3 * float(np.median(some, axis=0)[0]) for some in (here, apart)]
            print(
                f"{name:<20}{len(data) / 1e6:7.1f}{milliseconds[0]:10.1f}{milliseconds[1]:10.1f}"
                f"{ratios[0]:8.2f}{ratios[1]:8.2f}"
            )
    finally:
        await pool.stop()


def now() -> npt.NDArray[np.float64]:
    """Seconds that have passed, and processor seconds of this process and its children."""
    children = (Path(f"/proc/{pid}/schedstat").read_text().split()[0] for pid in decoder_pids())
    return np.array([perf_counter(), process_time() + sum(map(int, children)) / 1e9])


def films() -> dict[str, bytes]:
    """One film in some encodings."""
    native = large_film(2500, 3000)
    dataset = pydicom.dcmread(io.BytesIO(native))
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    dataset.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    run_lengths = io.BytesIO()
    dataset.save_as(run_lengths)
    plain = pydicom.dcmread(io.BytesIO(native))
    plain.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    deflated = io.BytesIO()
    plain.save_as(deflated)
    grey = (stored >> 4).astype(np.uint8)
    return {
        "DICOM native": native,
        "DICOM RLE": run_lengths.getvalue(),
        "DICOM deflated": deflated.getvalue(),
        "DICOM JPEG lossless": encoded_file(
            stored, JPEGLosslessSV1, EXACT[JPEGLosslessSV1], BitsStored=12, HighBit=11
        ),
        "PNG 16 bit": cv2.imencode(".png", stored)[1].tobytes(),
        "JPEG": cv2.imencode(".jpg", grey)[1].tobytes(),
    }


def decode_here(data: bytes) -> object:
    """What a decoder process does with a file, without the process."""
    pixels = decode(data, LIMITS).pixels
    height, width = pixels.shape
    return Letterbox.fit((height, width), CANVAS).apply(pixels)


def decoder_pids() -> list[int]:
    """This process's children."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in children.split()]


def memory_of(pid: int) -> list[str]:
    """Resident memory, and the share of it that is this process's own (proc(5))."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(size.split()[0]) for name, size in (line.split(":") for line in lines)}
    return [f"{name} {sizes[name] / 1024:.0f} MB" for name in ("Rss", "Pss")]


if __name__ == "__main__":
    main()
