"""An accelerator that is not there: a run takes 10 ms and 2 ms for each image, and no CPU time.

Imports nothing but the standard library: each contender's own environment loads it.
"""

from __future__ import annotations

from time import sleep

MAX_BATCH = 8
WAIT_SECONDS = 0.005  # what the contenders may wait to fill a batch


def run_seconds(images: int) -> float:
    """What a run takes."""
    return 0.010 + 0.002 * images


def run(images: int) -> None:
    """Waits as one waits for a device: without the interpreter lock."""
    sleep(run_seconds(images))
