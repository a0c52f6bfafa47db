"""How many cores this process may really use."""

from __future__ import annotations

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = _QUOTA) -> int:
    """The smaller of the affinity mask and the cgroup's quota, at least 1.

    ONNX Runtime and thread pools count the host's cores otherwise, and a container with two of
    sixty-four then spends its time switching threads.

    Args:
        quota: cgroup v2 `cpu.max`: microseconds of CPU time allowed in each period, or `max`.
    """
    cores = len(os.sched_getaffinity(0))
    try:
        allowed, period = quota.read_text().split()
        return max(1, min(cores, round(int(allowed) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # no cgroup v2, or no limit
        return cores
