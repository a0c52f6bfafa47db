from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app import allocator

ROOT = Path(__file__).parents[3]
RECEIVE_AGAIN = """
import resource, sys
from app.allocator import keep_memory
if sys.argv[1] == "kept" and not keep_memory():
    sys.exit("no glibc")
def receive():
    pieces = [bytes([1]) * 2**18 for _ in range(60)]
receive()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    receive()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    command = [sys.executable, "-c", RECEIVE_AGAIN, how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.stderr.strip() == "no glibc":
        pytest.skip("the allocator is not glibc's")
    return int(done.stdout)


def test_what_a_request_took_is_there_for_the_next() -> None:
    assert page_faults("kept") < 100 < page_faults("not kept")


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert not allocator.keep_memory()
