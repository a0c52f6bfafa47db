"""How long a call computes in this process, whatever else the machine does."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import process_time


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Median processor time of a call, after one that warms up."""
    times = []
    for _ in range(repeats + 1):
        started = process_time()
        function()
        times.append(process_time() - started)
    return median(times[1:])
