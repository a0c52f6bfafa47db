"""TensorFlow's "SAME" padding, worked out from its definition."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model.network.efficientnet_lite import EfficientNetLite0, SameConv2d, imagenet_state_dict

Maps = npt.NDArray[np.float64]


def same_convolution(image: Maps, weights: Maps, stride: int) -> Maps:
    """One depthwise channel after TensorFlow's definition: ceil(size / stride) outputs a side.

    Whatever padding that needs is split in two, the odd row or column at the end.
    """
    kernel = len(weights)
    sizes = [math.ceil(side / stride) for side in image.shape]
    paddings = []
    for side, size in zip(image.shape, sizes, strict=True):
        total = max((size - 1) * stride + kernel - side, 0)
        paddings.append((total // 2, total - total // 2))
    padded = np.pad(image, paddings)
    out = np.empty(sizes)
    for row, column in np.ndindex(*sizes):
        top, left = row * stride, column * stride
        out[row, column] = (padded[top : top + kernel, left : left + kernel] * weights).sum()
    return out


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (6, 10), (2, 4)])
def test_convolution_pads_as_tensorflow_does(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(kernel + stride)
    image, weights = rng.normal(size=(3, *size)), rng.normal(size=(3, kernel, kernel))
    convolution = SameConv2d(3, 3, kernel, stride, groups=3)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor(weights)[:, None])
        found = convolution(torch.tensor(image, dtype=torch.float32)[None])[0].numpy()
    expected = [same_convolution(*pair, stride) for pair in zip(image, weights, strict=True)]
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)


def test_the_packages_weights_are_all_used() -> None:
    state = imagenet_state_dict()
    own = EfficientNetLite0(in_channels=3).state_dict()
    assert {key: value.shape for key, value in state.items()} == {
        key: value.shape for key, value in own.items()
    }
    # 4.65 M parameters (the published table) less the 1 x 1 head, its norm and the classifier.
    parameters = sum(
        value.numel()
        for key, value in state.items()
        if not key.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )
    assert parameters + 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000 == pytest.approx(
        4.65e6, rel=2e-3
    )


def test_on_a_cpu_depthwise_convolutions_stay_in_float32() -> None:
    images = torch.rand(2, 8, 12, 12)
    depthwise, whole = (SameConv2d(8, 8, 3, 1, groups=groups) for groups in (8, 1))
    plain = depthwise(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(depthwise(images), plain)
        assert torch.equal(
            depthwise(images.to(torch.bfloat16)), depthwise(images.to(torch.bfloat16).float())
        )
        assert whole(images).dtype == torch.bfloat16
