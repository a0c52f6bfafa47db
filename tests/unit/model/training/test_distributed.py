"""Two processes that torchrun starts, and one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model.data.objects import Objects
from model.network.checkpoint import load_checkpoint
from model.training.distributed import ProcessGroup, own_device, positive_cells, share
from tests.support.coco_folder import disc_folder
from tests.support.parallel_run import RUNS, losses_of
from tests.support.tiny import tiny_config

ROOT = Path(__file__).parents[4]


@pytest.mark.slow
def test_two_processes_lose_and_learn_what_one_does(tmp_path: Path) -> None:
    # One process gets the films without objects more often: parts differ in their objects.
    data = disc_folder(tmp_path / "discs", 5, empty=(1, 2))
    broken = disc_folder(tmp_path / "broken", 5)
    for film in ("0.png", "3.png"):  # one for each process
        (broken / film).write_bytes(b"not a picture")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "tests.support.parallel_run"]
    done = subprocess.run(
        [*command, str(data), str(broken), str(tmp_path / "seen")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen, other = (json.loads((tmp_path / f"seen.{rank}").read_text()) for rank in (0, 1))
    assert seen == other
    named = [fault.partition(": ")[0] for fault in seen["faults"]]
    assert named == ["image 10 cannot be decoded", "image 13 cannot be decoded"]
    assert seen["stop"] == 2  # of six: the second validation, which the first process made
    state = load_checkpoint(tmp_path / "checkpoint.pt")[1]
    assert (state["step"], state["stopped"]) == (2, True)
    assert (tmp_path / "best.pt").exists()
    together = seen["losses"]
    assert together.keys() == RUNS.keys()
    for run, found in together.items():
        alone = losses_of(run, data, ProcessGroup())
        assert len(found) == len(alone) == 4
        for one, two in zip(alone, found, strict=True):
            # Later losses and the norms of the gradients show that learning is equal too.
            assert two == pytest.approx(one, rel=1e-4), run


def test_a_batch_is_divided_without_rest() -> None:
    parts = [ProcessGroup(rank, 3).part_of(6) for rank in range(3)]
    assert [list(part) for part in parts] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(ValueError, match="a batch of 8 cannot be divided among 3 processes"):
        ProcessGroup(0, 3).part_of(8)


def test_alone_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    group = ProcessGroup.join(torch.device("cpu"))
    assert group == ProcessGroup(0, 1)
    losses = {"category": torch.tensor(2.0, requires_grad=True)}
    assert group.positives([], tiny_config()) is None
    assert share(losses, [], tiny_config(), None) is losses
    assert group.total(losses) == {"category": 2.0}
    group.leave()


def test_each_process_has_a_gpu_and_all_share_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert own_device("cuda") == "cuda:3"
    assert own_device("cpu") == "cpu"


def test_cells_are_counted_once_however_many_share_them() -> None:
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    masks[:, 18:22, 18:22] = 255
    boxes = torch.tensor([[18.0, 18, 22, 22]] * 2)
    objects = Objects(masks, boxes, torch.tensor([0, 1]))
    assert positive_cells([objects, objects], tiny_config()) == 2
