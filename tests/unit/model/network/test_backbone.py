"""Backbones: names and shapes of the published weights, strides, and one grey channel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from model.configuration.network import BackboneName
from model.network.backbone import build_backbone, load_imagenet

DEPTHS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet50_caffe": (3, 4, 6, 3),
    "resnet101_caffe": (3, 4, 23, 3),
}
BOTTLENECKS = tuple(name for name in DEPTHS if name not in ("resnet18", "resnet34"))
# Entries of torchvision's published files, of which `fc.weight` and `fc.bias` are two.
PUBLISHED = {"resnet18": 122, "resnet34": 218, "resnet50": 320, "resnet101": 626}
# Parameters of the published classifiers, and those of the layers that a backbone leaves out.
PARAMETERS: dict[BackboneName, tuple[int, int]] = {
    "resnet18": (11_689_512, 512 * 1000 + 1000),
    "resnet34": (21_797_672, 512 * 1000 + 1000),
    "resnet50": (25_557_032, 2048 * 1000 + 1000),
    "resnet101": (44_549_160, 2048 * 1000 + 1000),
    "efficientnet_lite0": (4_652_008, 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000),
    "convnext_tiny": (28_589_128, 2 * 768 + 768 * 1000 + 1000),
}
CHANNELS: dict[BackboneName, tuple[int, ...]] = {
    "resnet18": (64, 128, 256, 512),
    "resnet34": (64, 128, 256, 512),
    "resnet50": (256, 512, 1024, 2048),
    "resnet101": (256, 512, 1024, 2048),
    "resnet50_caffe": (256, 512, 1024, 2048),
    "resnet101_caffe": (256, 512, 1024, 2048),
    "efficientnet_lite0": (24, 40, 112, 320),
    "convnext_tiny": (96, 192, 384, 768),
}
resnets = pytest.mark.parametrize("name", DEPTHS)
Shape = tuple[int, ...]


def batch_norm(prefix: str, width: int) -> Iterator[tuple[str, Shape]]:
    for key in ("weight", "bias", "running_mean", "running_var"):
        yield f"{prefix}.{key}", (width,)
    yield f"{prefix}.num_batches_tracked", ()


def published_layout(name: str) -> dict[str, Shape]:
    """Names and shapes of torchvision's state dict without its classifier, by the paper's table.

    A stage's first block has a projection (`downsample`) where its stride or width changes.
    """
    layout: dict[str, Shape] = {"conv1.weight": (64, 3, 7, 7), **dict(batch_norm("bn1", 64))}
    width_in = 64
    for stage, depth in enumerate(DEPTHS[name], start=1):
        width = 32 * 2**stage
        width_out = width * (4 if name in BOTTLENECKS else 1)
        for block in range(depth):
            prefix = f"layer{stage}.{block}"
            if name in BOTTLENECKS:
                shapes = [(width, width_in, 1, 1), (width, width, 3, 3), (width_out, width, 1, 1)]
            else:
                shapes = [(width, width_in, 3, 3), (width, width, 3, 3)]
            for number, shape in enumerate(shapes, start=1):
                layout[f"{prefix}.conv{number}.weight"] = shape
                layout.update(batch_norm(f"{prefix}.bn{number}", shape[0]))
            if block == 0 and (stage > 1 or width_in != width_out):
                layout[f"{prefix}.downsample.0.weight"] = (width_out, width_in, 1, 1)
                layout.update(batch_norm(f"{prefix}.downsample.1", width_out))
            width_in = width_out
    return layout


@resnets
def test_a_resnet_has_torchvisions_names_and_shapes(name: BackboneName) -> None:
    with torch.device("meta"):
        state = build_backbone(name, in_channels=3).state_dict()
    expected = published_layout(name)
    assert len(expected) == PUBLISHED[name.removesuffix("_caffe")] - 2
    assert {key: tuple(value.shape) for key, value in state.items()} == expected


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_backbone_has_the_published_number_of_parameters(name: BackboneName) -> None:
    with torch.device("meta"):
        backbone = build_backbone(name, in_channels=3)
    published, classifier = PARAMETERS[name]
    assert sum(p.numel() for p in backbone.parameters()) == published - classifier


def test_a_caffe_bottleneck_halves_in_its_first_convolution() -> None:
    with torch.device("meta"):
        plain, caffe = (
            build_backbone(name).state_dict() for name in ("resnet50", "resnet50_caffe")
        )
        block = build_backbone("resnet50_caffe").get_submodule("layer2.0")
    assert list(plain) == list(caffe)
    strides = [getattr(block.get_submodule(f"conv{i}"), "stride", None) for i in (1, 2)]
    assert strides == [(2, 2), (1, 1)]


def test_convnext_has_torchvisions_names() -> None:
    """Spot checks by the published layout: stem, a block of each kind, a reduction."""
    with torch.device("meta"):
        state = build_backbone("convnext_tiny", in_channels=3).state_dict()
    shapes = {
        "features.0.0.weight": (96, 3, 4, 4),
        "features.0.1.weight": (96,),
        "features.1.0.layer_scale": (96, 1, 1),
        "features.1.0.block.0.weight": (96, 1, 7, 7),
        "features.1.0.block.2.bias": (96,),
        "features.1.0.block.3.weight": (384, 96),
        "features.1.0.block.5.weight": (96, 384),
        "features.2.0.weight": (96,),
        "features.2.1.weight": (192, 96, 2, 2),
        "features.5.8.block.5.bias": (384,),
        "features.7.2.layer_scale": (768, 1, 1),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes
    assert len(state) == 4 + 9 * 18 + 4 * 3
    assert len({key.split(".")[1] for key in state}) == 8


@pytest.mark.parametrize("name", list(CHANNELS))
@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_c2_to_c5_halve_from_stride_4(name: BackboneName, size: tuple[int, int]) -> None:
    with torch.device("meta"):
        backbone = build_backbone(name)
        features = backbone(torch.empty(2, 1, *size))
    assert backbone.channels == CHANNELS[name]
    assert [tuple(map_.shape) for map_ in features] == [
        (2, channels, size[0] // stride, size[1] // stride)
        for channels, stride in zip(CHANNELS[name], (4, 8, 16, 32), strict=True)
    ]


def test_a_features_place_is_that_of_its_pixels() -> None:
    """A spot moved by 32 pixels moves every map by 32 / stride, away from the border."""
    for name in ("resnet18", "efficientnet_lite0"):
        torch.manual_seed(0)
        backbone = build_backbone("resnet18" if name == "resnet18" else "efficientnet_lite0").eval()
        film = torch.zeros(1, 1, 256, 256)
        film[:, :, 100:110, 90:110] = 1
        moved = film.roll((32, 32), (2, 3))
        blank = backbone(torch.zeros_like(film))
        pairs = zip(backbone(film)[:2], backbone(moved)[:2], blank[:2], strict=True)
        for (one, other, nothing), stride in zip(pairs, (4, 8), strict=True):
            step = 32 // stride
            change, change_moved = one - nothing, other - nothing
            assert change.abs().max() > 0
            torch.testing.assert_close(
                change_moved[:, :, step:, step:], change[:, :, :-step, :-step], atol=1e-5, rtol=1e-4
            )


@pytest.fixture
def published_weights(tmp_path: Path) -> Path:
    """A file as torchvision publishes it, classifier included, filled at random."""
    torch.manual_seed(1)
    state = build_backbone("resnet18", in_channels=3).state_dict()
    state["fc.weight"], state["fc.bias"] = torch.randn(1000, 512), torch.randn(1000)
    for key in ("bn1.running_mean", "layer4.1.bn2.bias"):
        state[key] = torch.randn_like(state[key])
    torch.save(state, tmp_path / "resnet18.pth")
    return tmp_path / "resnet18.pth"


def test_a_grey_resnet_sees_what_three_equal_channels_show(published_weights: Path) -> None:
    grey, colour = build_backbone("resnet18").eval(), build_backbone("resnet18", 3).eval()
    load_imagenet(grey, published_weights)
    load_imagenet(colour, published_weights)
    image = torch.rand(2, 1, 64, 96, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        pairs = zip(grey(image), colour(image.expand(-1, 3, -1, -1)), strict=True)
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_lite0_brings_its_weights_and_sees_the_same_in_grey() -> None:
    torch.manual_seed(3)
    grey, colour = (build_backbone("efficientnet_lite0", channels).eval() for channels in (1, 3))
    before = {key: value.clone() for key, value in grey.state_dict().items()}
    load_imagenet(grey)
    load_imagenet(colour)
    after = grey.state_dict()
    floats = [key for key, value in after.items() if value.is_floating_point()]
    assert not [key for key in floats if torch.equal(before[key], after[key])]
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.inference_mode():
        found, expected = grey(image), colour(image.expand(-1, 3, -1, -1))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        # Trained normalisations keep activations at a sane size; a wrong layout would not.
        assert 0.05 < float(one.std()) < 50


def test_a_resnet_without_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a file of torchvision weights"):
        load_imagenet(build_backbone("resnet18"))


def test_weights_of_another_network_are_refused(published_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not of this backbone"):
        load_imagenet(build_backbone("efficientnet_lite0"), published_weights)
    with pytest.raises(ValueError, match="not of this backbone"):
        load_imagenet(build_backbone("resnet34"), published_weights)


@pytest.mark.parametrize("content", [[1, 2], b"not a state dict"])
def test_a_file_that_holds_no_weights_is_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=r"weights\.pth"):
        load_imagenet(build_backbone("resnet18"), path)
