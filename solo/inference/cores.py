"""Processor cores that this process may really use: affinity mask and cgroup quota."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """The smaller of the affinity mask and the cgroup's quota, at least 1.

    ONNX Runtime and thread pools count the host's cores otherwise, and a container with two of
    sixty-four then spends its time switching threads.

    Args:
        cgroup: where the process sees its own: `cpu.max` in version 2; `cpu/cpu.cfs_quota_us` and
            `cpu/cpu.cfs_period_us` in version 1. Microseconds of CPU time allowed in each period.
    """
    cores = len(os.sched_getaffinity(0))
    try:
        allowed, period = map(int, _quota(cgroup))
        return max(1, min(cores, round(allowed / period))) if allowed > 0 else cores
    except (OSError, ValueError, ZeroDivisionError):  # no cgroup, or no limit: `max`, or -1
        return cores


def _quota(cgroup: Path) -> list[str]:
    together = cgroup / "cpu.max"
    if together.exists():
        return together.read_text().split()
    return [(cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")]
