"""The memory of a step: arithmetic on a meter of known readings, and no trace of the trial."""

from __future__ import annotations

import sys
from argparse import Namespace
from mmap import mmap
from pathlib import Path

import pytest
import torch

from model.data.coco import load_coco
from model.data.dataset import TrainingStream
from model.training.distributed import ProcessGroup
from model.training.memory import ProcessMeter, StepMemory, measure_step
from model.training.memory_plan import choose_batch
from model.training.options import build_parser, layer_of
from model.training.plan import make_plan
from tests.support.coco_folder import disc_folder
from tests.support.tiny import seeded, tiny_preset

_MIB = 2**20


class FakeMeter:
    """A GPU on which a step takes 300 MiB and 100 MiB a film; no test has a real one."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._starts = 0

    def start(self) -> None:
        self._starts += 1

    def highest(self) -> int:
        films = self._starts - 1  # the first start is before any
        return 50 * _MIB + (300 * _MIB + films * 100 * _MIB if films else 0)

    def free(self) -> int:
        return self._free


def test_a_step_is_measured_and_leaves_no_trace(tmp_path: Path) -> None:
    data, preset = load_coco(disc_folder(tmp_path / "films", 2)), tiny_preset(optimizer="sgd")
    network = seeded(preset.model)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    random = torch.get_rng_state()
    stream = TrainingStream(data, preset.model.canvas_size, 2, 0)
    found = measure_step(network, preset, stream, FakeMeter(2**30))
    momentum = 4 * sum(parameter.numel() for parameter in network.parameters())
    assert found == StepMemory(300 * _MIB + momentum, 100 * _MIB, 2**30)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_what_does_not_fit_is_told_with_a_remedy() -> None:
    memory = StepMemory(300 * _MIB, 100 * _MIB, 1024 * _MIB)
    assert "does not fit" not in memory.describe(8, 2)  # 700 MiB
    said = memory.describe(8, 1)  # 1100 MiB
    assert "about 1.07 GiB" in said
    assert "--accumulate 8 would take 0.39 GiB" in said


@pytest.mark.parametrize(("free", "batch"), [(10_000, 64), (1024, 4), (501, 1), (499, 0)])
def test_the_largest_power_of_two_in_four_fifths(free: int, batch: int) -> None:
    assert StepMemory(300 * _MIB, 100 * _MIB, free * _MIB).largest_batch() == batch


def test_a_batch_is_found_for_a_gpu(tmp_path: Path) -> None:
    folder = disc_folder(tmp_path / "films", 2)
    given: Namespace = build_parser("").parse_args(
        ["--preset", "cxr-lungs", "--canvas", "64", "--data", str(folder), "--batch-size", "auto"]
    )
    plan = make_plan(None, layer_of(given), lambda _: None)
    said: list[str] = []
    place = torch.device("cpu"), ProcessGroup()
    found = choose_batch(
        plan, load_coco(folder), None, tmp_path / "no.pt", place, said.append, FakeMeter(2**30)
    )
    assert found.flags.tables["training"]["batch_size"] == 4
    assert "--batch-size auto is 4" in said[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_mark_of_a_process_is_read_and_reset() -> None:
    meter = ProcessMeter()
    meter.start()
    before = meter.highest()
    with mmap(-1, 64 * _MIB) as block:  # which goes back to the system at once
        block[::4096] = bytes(len(block) // 4096)  # touches each page
        grown = meter.highest() - before
    assert 50 * _MIB < grown < 200 * _MIB
    meter.start()
    assert meter.highest() < before + 50 * _MIB
    assert meter.free() > _MIB
