"""Real processes that are interrupted in the middle of a run, and go on to the same end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model import train
from model.network.checkpoint import load_checkpoint
from tests.support.coco_folder import disc_folder

ROOT = Path(__file__).parents[4]
SMALL = ["--preset", "cxr-lungs", "--canvas", "64", "--fpn-channels", "8", "--head-channels", "8"]
SMALL += ["--stacked-convs", "1", "--mask-branch-channels", "8", "--mask-channels", "8"]
SMALL += ["--batch-size", "2", "--threads", "1", "--device", "cpu"]


def start(
    data: Path, out: Path, *more: str, launcher: tuple[str, ...] = ()
) -> subprocess.Popen[str]:
    where = ["--data", str(data), "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "model.train", *SMALL, *where, *more],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def until(process: subprocess.Popen[str], sign: str) -> str:
    """What a process says until a sign."""
    assert process.stderr is not None
    said = ""
    while sign not in said:
        character = process.stderr.read(1)
        assert character, said
        said += character
    return said


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=300)
    return process.returncode, said


@pytest.mark.long
@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, "1"), (signal.SIGTERM, "0")])
def test_a_run_that_a_signal_ended_goes_on_to_the_same_end(
    number: signal.Signals, workers: str, tmp_path: Path
) -> None:
    data = disc_folder(tmp_path / "discs", 3)
    steps = ("--iterations", "40", "--workers", workers)
    process = start(data, tmp_path / "broken", *steps)
    until(process, "films/s=")
    process.send_signal(number)
    code, said = end(process)
    assert code == 128 + number
    assert "which is saved: the same command goes on from there" in said
    assert "Traceback" not in said
    _, kept = load_checkpoint(tmp_path / "broken" / "checkpoint.pt")
    assert 0 < kept["step"] < 40
    threads = torch.get_num_threads()
    for out in ("broken", "unbroken"):
        where = ["--data", str(data), "--out", str(tmp_path / out)]
        assert train.main([*SMALL, *where, *steps]) == 0
    torch.set_num_threads(threads)
    one, other = (
        load_checkpoint(tmp_path / out / "checkpoint.pt")[1] for out in ("broken", "unbroken")
    )
    for part in ("weights", "last_weights"):
        assert all(torch.equal(one[part][key], other[part][key]) for key in one[part])


@pytest.mark.long
def test_a_group_saves_at_one_step_and_goes_on_and_validates_to_the_end(tmp_path: Path) -> None:
    data = disc_folder(tmp_path / "discs", 6)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    often = ("--validate-every", "5")
    steps = ("--iterations", "40", "--fold", "0", "--folds", "3", *often)
    process = start(data, tmp_path / "run", *steps, launcher=launcher)
    said = until(process, "films/s=")
    assert "in each of 2 processes" in said
    process.send_signal(signal.SIGTERM)
    end(process)
    step = load_checkpoint(tmp_path / "run" / "checkpoint.pt")[1]["step"]
    assert 0 < step < 40
    code, said = end(start(data, tmp_path / "run", *steps, launcher=launcher))
    assert code == 0, said
    assert f"going on from step {step}" in said
    state = load_checkpoint(tmp_path / "run" / "checkpoint.pt")[1]
    assert state["step"] == 40
    assert len((tmp_path / "run" / "results.csv").read_text().splitlines()) == 5
    assert (tmp_path / "run" / "best.pt").exists()
    assert (tmp_path / "run" / "metrics.json").exists()
