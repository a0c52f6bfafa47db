"""What it takes to refuse small files that ask for much, or to pass over what they ask for.

    python -m benchmarks.bombs [--repeats 5]

Prints for each file its size, the status and the processor time until it is refused, the median of
so many times in this process. 50 ms are the target, 1 s for a deflated data set.
"""

from __future__ import annotations

import argparse
from statistics import median
from time import process_time

from app.errors import status_of
from solo.decoding.decode import decode
from solo.decoding.quiet import quieten_decoders
from solo.decoding.radiograph import Limits
from solo.errors import SoloError
from tests.support.bombs import bombs

LIMITS = Limits(50_000_000)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bombs")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    quieten_decoders()
    print("| file | MB | status | ms |\n|---|---|---|---|")
    for name, data in bombs().items():
        status, times = 0, []
        for _ in range(arguments.repeats):
            started = process_time()
            status = status_for(data)
            times.append(process_time() - started)
        print(f"| {name} | {len(data) / 1e6:.2f} | {status} | {1e3 * median(times):.1f} |")


def status_for(data: bytes) -> int:
    """The status that a file is answered with, 200 if it is decoded."""
    try:
        decode(data, LIMITS)
    except SoloError as error:
        return status_of(error)
    return 200


if __name__ == "__main__":
    main()
