"""Feature pyramid network (arXiv 1612.03144): C2..C5 to P2..P6."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class FPN(nn.Module):
    """Lateral 1 x 1 and output 3 x 3 convolutions, both with bias; no norm, no activation.

    Args:
        in_channels: widths of C2..C5.
        channels: width of every output.
    """

    def __init__(self, in_channels: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in in_channels)
        self.output = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """C2..C5 to P2..P6 at strides 4 to 64; P6 is every second pixel of P5."""
        merged = [lateral(c) for lateral, c in zip(self.lateral, features, strict=True)]
        for finer in range(len(merged) - 2, -1, -1):
            size = merged[finer].shape[-2:]
            merged[finer] = merged[finer] + F.interpolate(merged[finer + 1], size, mode="nearest")
        outputs = [output(p) for output, p in zip(self.output, merged, strict=True)]
        return [*outputs, F.max_pool2d(outputs[-1], kernel_size=1, stride=2)]
