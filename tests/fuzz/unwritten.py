"""Finds decoders that leave a part of an image unwritten: `python -m tests.fuzz.unwritten`.

Such a part would show what lay in memory, such as another patient's film. Every file is decoded in
two processes whose allocator fills memory with different bytes (`MALLOC_PERTURB_` of glibc), in
the one from the first file to the last, in the other from the last to the first.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from solo.contract.greyscale import Grey
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.errors import SoloError
from tests.fuzz.corpus import corpus
from tests.fuzz.mutations import mutate

ROOT = Path(__file__).parents[2]
MAX_PIXELS = 1_000_000
UNWRITTEN = "never written"
"""What an array is called that must differ: if it did not, the allocator would not have filled."""


def find_differences(files: int, seed: int) -> set[str]:
    """The files that are decoded differently in the two processes, by name and number.

    `UNWRITTEN` is among them wherever the allocator does what is asked of it.

    Args:
        files: of each kind: the valid one and broken ones.
        seed: of all randomness.
    """
    command = [sys.executable, "-m", "tests.fuzz.unwritten"]
    options = ["--files", str(files), "--seed", str(seed), "--print"]
    running = []
    for fill, order in (("85", "forwards"), ("170", "backwards")):
        environment = {
            **os.environ,
            "MALLOC_PERTURB_": fill,
            "MALLOC_MMAP_MAX_": "0",  # large arrays would come from the kernel, as zeros
            "PYTHONMALLOC": "malloc",
        }
        running.append(
            subprocess.Popen(
                [*command, *options, order],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # libjpeg's warnings
                text=True,
            )
        )
    forwards, backwards = ({*process.communicate()[0].splitlines()} for process in running)
    if any(process.returncode for process in running) or len(forwards) != len(backwards):
        raise RuntimeError("a process that decoded broken files has failed")
    return {line.rpartition(": ")[0] for line in forwards ^ backwards}


def _fingerprints(files: int, seed: int, *, backwards: bool) -> Iterator[str]:
    yield f"{UNWRITTEN}: {_sha256(np.empty((300, 300), np.uint16))}"
    numbered = [(name, number) for name in corpus() for number in range(files)]
    for name, number in reversed(numbered) if backwards else numbered:
        random = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
        data = corpus()[name] if number == 0 else mutate(name, corpus()[name], random)
        try:
            found = _sha256(decode(data, Limits(MAX_PIXELS)).pixels)
        except SoloError as error:
            found = error.kind
        yield f"{name} {number}: {found}"


def _sha256(pixels: Grey) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def main() -> int:
    """Command line; 1 if a file was decoded differently."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.unwritten")
    parser.add_argument("--files", type=int, default=3000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--print", choices=("forwards", "backwards"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.print:
        backwards = arguments.print == "backwards"
        for line in _fingerprints(arguments.files, arguments.seed, backwards=backwards):
            print(line)  # noqa: T201
        return 0
    different = find_differences(arguments.files, arguments.seed)
    if UNWRITTEN not in different:
        print("this allocator does not fill memory: nothing can be told", file=sys.stderr)  # noqa: T201
        return 1
    found = sorted(different - {UNWRITTEN})
    print(f"{len(found)} of {len(corpus()) * arguments.files:,} files were decoded differently")  # noqa: T201
    for name in found:
        print(name, file=sys.stderr)  # noqa: T201
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
