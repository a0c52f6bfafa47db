"""What decoding apart costs: files through decoder processes, beside the same in this process.

    python -m benchmarks.isolation [--repeats N]

The two take turns on films of 2500 x 3000 pixels; the ratio of each turn is what to compare. Also
prints what an idle decoder takes of the memory.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np
import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from app.decoding.decode import decode
from app.decoding.radiograph import Limits
from app.isolation.pool import DecoderPool
from app.journal import quieten_decoders
from benchmarks.latency import large_film
from model.contract.preprocess import Letterbox

CANVAS = (256, 256)
LIMITS = Limits(50_000_000)
_WARM_UP = 3


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation")
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
        print(f"{'2500 x 3000':<16}{'MB':>7}{'here ms':>10}{'apart ms':>10}{'ratio':>8}")
        for name, data in films().items():
            here, apart = [], []
            for turn in range(repeats + _WARM_UP):
                started = perf_counter()
                await asyncio.to_thread(decode_here, data)
                between = perf_counter()
                await pool.decode(data, 0)
                if turn >= _WARM_UP:
                    here.append(between - started)
                    apart.append(perf_counter() - between)
            ratio = median(b / a for a, b in zip(here, apart, strict=True))
            print(
                f"{name:<16}{len(data) / 1e6:7.1f}{1e3 * median(here):10.1f}"
                f"{1e3 * median(apart):10.1f}{ratio:8.2f}"
            )
    finally:
        await pool.stop()


def films() -> dict[str, bytes]:
    """One film in the encodings that this tree can write."""
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
