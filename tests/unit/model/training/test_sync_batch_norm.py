"""Synchronised batch norm: over a group of one, and two halves of a batch without processes.

`tests.unit.model.training.test_distributed` has two processes.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, distributed, nn

from model.training.sync_batch_norm import SyncBatchNorm2d, norm_over_group


@pytest.fixture(autouse=True)
def _team_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "all_reduce", lambda _: None)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 1)


def norms() -> tuple[nn.BatchNorm2d, SyncBatchNorm2d]:
    """A batch norm with a past, and one that takes its place."""
    plain = nn.BatchNorm2d(3, eps=1e-3, momentum=0.03)
    nn.init.uniform_(plain.weight)
    nn.init.uniform_(plain.bias)
    plain(torch.randn(2, 3, 4, 5))
    weight, bias = plain.weight.detach().clone(), plain.bias.detach().clone()
    twin = nn.BatchNorm2d(3, eps=1e-3, momentum=0.03)
    twin.load_state_dict(plain.state_dict())
    synced = SyncBatchNorm2d.of(twin)
    assert torch.equal(synced.weight, weight)
    assert torch.equal(synced.bias, bias)
    return plain, synced


@pytest.mark.parametrize("training", [True, False])
def test_alone_it_is_a_batch_norm(training: bool) -> None:
    torch.manual_seed(0)
    plain, synced = norms()
    x = torch.randn(4, 3, 7, 6) * 3 + 100  # a mean far above the deviation
    y = x.clone()
    answers = []
    for norm, given in ((plain, x), (synced, y)):
        norm.train(training)
        answer = norm(given.requires_grad_())
        (answer * torch.arange(answer.numel()).view_as(answer)).sum().backward()
        answers.append(answer)
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-4, atol=1e-4)
    for one, other in ((x.grad, y.grad), (plain.weight.grad, synced.weight.grad)):
        assert one is not None
        assert other is not None
        torch.testing.assert_close(other, one, rtol=1e-3, atol=float(one.abs().max()) * 1e-4)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(synced.state_dict()[name], value)


def test_it_takes_the_place_of_every_batch_norm_and_keeps_its_weights() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3), nn.GroupNorm(1, 3))
    )
    names, parameters = list(network.state_dict()), list(network.parameters())
    network[2].eval()
    norm_over_group(network)
    kinds = [type(module) for module in network.modules()]
    assert kinds.count(SyncBatchNorm2d) == 2
    assert nn.BatchNorm2d not in kinds
    assert list(network.state_dict()) == names
    assert all(a is b for a, b in zip(network.parameters(), parameters, strict=True))
    assert [m.training for m in network.modules() if isinstance(m, SyncBatchNorm2d)] == [1, 0]


def test_a_half_is_normed_by_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    plain, synced = norms()
    whole = torch.randn(4, 3, 5, 5)
    other = whole[2:]
    sums = iter([other.sum((0, 2, 3)), (other - whole.mean((0, 2, 3))[:, None, None])])

    def add_the_other_half(total: Tensor) -> None:
        summand = next(sums)
        total += summand if summand.ndim == 1 else summand.square().sum((0, 2, 3))

    monkeypatch.setattr(distributed, "all_reduce", add_the_other_half)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    torch.testing.assert_close(synced(whole[:2]), plain(whole)[:2], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(synced.running_var, plain.running_var)
