"""`Segmenter.map` beside a plain loop over the decoder, the session and the masks.

    python -m benchmarks.library [--films 500] [--pairs 7] [--cores 2] [--sandbox]

Each run is a process of its own and segments the same files by their paths: the example film as
native DICOM, PNG, JPEG 2000, JPEG-LS and lossless JPEG. The plain loop reads, hashes, decodes,
runs a session with as many threads and encodes the masks, one film after the other. The runs of a
pair alternate; the ratios are medians over the pairs, with the least and the most.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import imagecodecs
import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless

from benchmarks.bare_parts import open_session
from benchmarks.service_process import MODEL, ROOT
from solo import Sandbox, Segmenter
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.inference.cores import usable_cores
from solo.masks.rle import encode
from solo.result import Result

_LIMITS = Limits(50_000_000)
_WARM_FILMS = 20


def write_films(folder: Path) -> list[Path]:
    """The example film in five encodings."""
    native = (ROOT / "examples/chest.dcm").read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(native))
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    files = {"native.dcm": native, "film.png": (ROOT / "examples/chest.png").read_bytes()}
    for name, syntax, frame in (
        ("j2k.dcm", JPEG2000Lossless, imagecodecs.jpeg2k_encode(
            pixels, level=0, codecformat="j2k", bitspersample=12, reversible=True)),
        ("jls.dcm", JPEGLSLossless, imagecodecs.jpegls_encode(pixels)),
        ("sv1.dcm", JPEGLosslessSV1, imagecodecs.jpeg8_encode(
            pixels, lossless=True, predictor=1, bitspersample=12)),
    ):  # fmt: skip
        dataset.PixelData = encapsulate([bytes(frame)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
        out = io.BytesIO()
        dataset.save_as(out)
        files[name] = out.getvalue()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def library(paths: Sequence[Path], cores: int, sandbox: bool) -> Callable[[int], int]:
    """Segments so many films with the library; returns the instances found."""
    segmenter = Segmenter(MODEL, Sandbox() if sandbox else None, cores, precision="float32")

    def run(films: int) -> int:
        found = 0
        for outcome in segmenter.map(paths[index % len(paths)] for index in range(films)):
            assert isinstance(outcome, Result), outcome
            found += len([instance.rle() for instance in outcome.instances])
        return found

    return run


def plain(paths: Sequence[Path], cores: int) -> Callable[[int], int]:
    """Segments so many films one after the other; returns the instances found."""
    session = open_session(MODEL, cores)
    manifest = Manifest.from_metadata(session.get_modelmeta().custom_metadata_map)

    def run(films: int) -> int:
        found = 0
        for index in range(films):
            data = paths[index % len(paths)].read_bytes()
            hashlib.sha256(data).hexdigest()
            pixels = decode(data, _LIMITS).pixels
            letterbox = Letterbox.fit((pixels.shape[0], pixels.shape[1]), manifest.canvas_size)
            feeds = {INPUT_NAME: letterbox.apply(pixels)[None, None]}
            scores, labels, masks = session.run(list(OUTPUT_NAMES), feeds)
            instances = Instances.from_outputs(scores[0], labels[0], masks[0]).select(
                manifest.score_threshold, manifest.max_instances
            )
            runs = encode(instances, letterbox, manifest.mask_threshold)
            found += len([one.compressed() for one in runs])
        return found

    return run


def measured(run: Callable[[int], int], films: int) -> dict[str, float]:
    """Wall and processor seconds of so many films, and how much memory grew meanwhile."""
    run(_WARM_FILMS)
    before, started = _processor_seconds(), perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = run(films)
    return {
        "wall": perf_counter() - started,
        "cpu": _processor_seconds() - before,
        "found": found,
        "growth": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library")
    parser.add_argument("--films", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--cores", type=int, default=usable_cores())
    parser.add_argument("--sandbox", action="store_true", help="decode in processes of their own")
    parser.add_argument("--run", choices=("library", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        paths = sorted(arguments.folder.iterdir())
        cores = arguments.cores
        way = (
            plain(paths, cores)
            if arguments.run == "plain"
            else library(paths, cores, arguments.sandbox)
        )
        print(json.dumps(measured(way, arguments.films)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_films(Path(folder))
        pairs = [
            tuple(_child(run, folder, arguments) for run in ("library", "plain"))
            for _ in range(arguments.pairs)
        ]
    print(f"{arguments.films} films, {arguments.cores} cores, {arguments.pairs} pairs")
    for name in ("wall", "cpu"):
        ratios = sorted(ours[name] / theirs[name] for ours, theirs in pairs)
        ours, theirs = (median(pair[side][name] for pair in pairs) for side in (0, 1))
        print(
            f"  {name:<5} {ours:6.2f} s, plain {theirs:6.2f} s; ratio {median(ratios):.3f} "
            f"({ratios[0]:.3f} to {ratios[-1]:.3f})"
        )
    growth, peak = (median(ours[name] for ours, _ in pairs) for name in ("growth", "peak"))
    print(f"  peak memory {peak:.0f} MB, of which {growth:.0f} MB after the first {_WARM_FILMS}")


def _child(run: str, folder: str, arguments: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.library", "--run", run, "--folder", folder]
    command += ["--films", str(arguments.films), "--cores", str(arguments.cores)]
    command += ["--sandbox"] * arguments.sandbox
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    main()
