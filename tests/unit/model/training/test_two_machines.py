"""Two network namespaces as two machines: each runs one process of torchrun's group."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.network.checkpoint import load_checkpoint
from tests.support.coco_folder import disc_folder
from tests.unit.model.training.test_interruption import ROOT, SMALL

NAMES = ("solo-train-a", "solo-train-b")
ADDRESSES = ("10.77.31.1", "10.77.31.2")


def _ip(*words: str) -> bool:
    ip = shutil.which("ip") or "ip"
    return subprocess.run([ip, *words], capture_output=True, check=False).returncode == 0


@pytest.fixture
def machines() -> Iterator[tuple[str, str]]:
    if shutil.which("ip") is None or not _ip("netns", "add", NAMES[0]):
        pytest.skip("network namespaces cannot be made here: `ip netns add` needs root")
    try:
        _ip("netns", "add", NAMES[1])
        assert _ip("link", "add", "solo-veth-a", "type", "veth", "peer", "name", "solo-veth-b")
        for name, end, address in zip(
            NAMES, ("solo-veth-a", "solo-veth-b"), ADDRESSES, strict=True
        ):
            assert _ip("link", "set", end, "netns", name)
            for words in (
                ("addr", "add", f"{address}/24", "dev", end),
                ("link", "set", end, "up"),
                ("link", "set", "lo", "up"),
            ):
                assert _ip("-n", name, *words)
        yield NAMES
    finally:
        for name in NAMES:
            _ip("netns", "del", name)


@pytest.mark.long
def test_two_machines_train_what_one_does(machines: tuple[str, str], tmp_path: Path) -> None:
    data = disc_folder(tmp_path / "discs", 4)
    processes = []
    for rank, (name, end) in enumerate(zip(machines, ("solo-veth-a", "solo-veth-b"), strict=True)):
        launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(rank)]
        launcher += ["--master-addr", ADDRESSES[0], "--master-port", "29517"]
        launcher += ["--local-addr", ADDRESSES[rank]]  # names of these machines lead nowhere
        # Each machine has a folder of its own: the first one's has the run.
        out = ["--out", str(tmp_path / f"run{rank}"), "--iterations", "6", "--data", str(data)]
        inside = [shutil.which("ip") or "ip", "netns", "exec", name]
        processes.append(
            subprocess.Popen(
                [*inside, sys.executable, *launcher, "-m", "model.train", *SMALL, *out],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": end},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        _, said = process.communicate(timeout=500)
        assert process.returncode == 0, said
    alone = [sys.executable, "-m", "model.train", *SMALL, "--data", str(data), "--iterations", "6"]
    subprocess.run([*alone, "--out", str(tmp_path / "alone")], cwd=ROOT, check=True)
    assert not (tmp_path / "run1").exists()
    one, other = (
        load_checkpoint(tmp_path / run / "checkpoint.pt")[1]["weights"] for run in ("run0", "alone")
    )
    key = "head.category.weight"
    # The batch norms of an untrained backbone amplify rounding: the head is compared loosely.
    assert (one[key] - other[key]).abs().max() < 5e-3
