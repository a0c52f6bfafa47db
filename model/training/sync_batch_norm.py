"""Synchronised batch norm on the CPU.

PyTorch's `SyncBatchNorm` does this on GPUs alone. Without it, each process would norm by its own
part of the batch, and two processes would not train what one does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Synchronised batch norm: mean and variance in training are those of all processes.

    Every process must have as many images, of the same size.
    """

    @classmethod
    def of(cls, norm: nn.BatchNorm2d) -> SyncBatchNorm2d:
        """Takes the place of a batch norm, with the very same parameters and statistics."""
        own = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        own.load_state_dict(norm.state_dict())
        own.weight, own.bias = norm.weight, norm.bias
        return own.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W], same shape and dtype; sums are in float32."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = x[:, 0].numel() * distributed.get_world_size()
        mean = _sum_over_group(values.sum((0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = _sum_over_group((centred * centred).sum((0, 2, 3))) / count
        self._track(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


def norm_over_group(module: nn.Module) -> None:
    """Replaces every batch norm within a module by a `SyncBatchNorm2d`."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(module, name, SyncBatchNorm2d.of(child))
        else:
            norm_over_group(child)


class _SumOverGroup(torch.autograd.Function):
    """Differentiable all-reduce: gradients add up over the processes as the sums do."""

    @staticmethod
    def forward(_: Any, summand: Tensor) -> Tensor:  # noqa: ANN401  # torch's context
        total = summand.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def _sum_over_group(summand: Tensor) -> Tensor:
    total: Tensor = _SumOverGroup.apply(summand)
    return total
