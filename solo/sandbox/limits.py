"""Resource limits and privileges that a decoder process gives up before it sees a file."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


def end_with(parent: int) -> None:
    """Ends this process when its parent ends, however that comes about (prctl(2)).

    The end of the control socket would do while the process waits for a job, but not while a
    decoder hangs.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call
        sys.exit(0)


def confine(memory_bytes: int) -> None:
    """Limits memory, and gives up core dumps, files and new privileges.

    A core dump would put a patient on a disk. A limit of its size alone does not stop systems that
    pipe it into a program (core(5)); a process that is not dumpable leaves none.

    Args:
        memory_bytes: address space that may be added to what is mapped now.
    """
    with open("/proc/self/statm") as statm:
        mapped_bytes = int(statm.read().split()[0]) * resource.getpagesize()
    for kind, limit in (
        (resource.RLIMIT_AS, mapped_bytes + memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),  # no file can grow
    ):
        most = resource.getrlimit(kind)[1]  # of whoever started the service; nobody may raise it
        least = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (least, least))
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def silence() -> None:
    """Sends what C libraries print to nowhere: it may quote the file."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _prctl(option: int, value: int) -> None:
    # prctl is variadic: each argument has to be as wide as a long.
    arguments = (ctypes.c_ulong(argument) for argument in (value, 0, 0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(option, *arguments):
        raise OSError(ctypes.get_errno(), f"prctl {option} failed")
