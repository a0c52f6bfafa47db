"""Pooled features of every backbone: PyTorch's in the graph, and found again in fewer bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from export.half import halve
from export.onnx_export import trace
from export.quantize import quantize
from export.score_graph import features_alone
from export.wrapper import FEATURES_NAME
from model.network.backbone import Backbone
from model.network.convnext import ConvNeXtTiny
from model.network.efficientnet_lite import EfficientNetLite0
from model.network.resnet import BasicBlock, Bottleneck, CaffeBottleneck, ResNet
from model.network.solo_network import SoloNetwork
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES
from tests.support.exported import film_canvases
from tests.support.tiny import FourConvolutions, enliven, tiny_config

ONE_EACH = (1, 1, 1, 1)
# ResNets of other depths are of the same blocks.
BACKBONES = {
    "basic": lambda: ResNet(BasicBlock, ONE_EACH, 1),
    "bottleneck": lambda: ResNet(Bottleneck, ONE_EACH, 1),
    "caffe": lambda: ResNet(CaffeBottleneck, ONE_EACH, 1),
    "lite0": EfficientNetLite0,
    "convnext": ConvNeXtTiny,
}
VARIANTS = ("solov2", "solo", "decoupled_solo", "decoupled_solo_light")


def first(*names: str) -> list[object]:
    """All but the first take long: they are for `make test-long`."""
    return [names[0], *(pytest.param(name, marks=pytest.mark.long) for name in names[1:])]


def network_on(backbone: nn.Module, monkeypatch: pytest.MonkeyPatch, **changes: str) -> SoloNetwork:
    monkeypatch.setattr("model.network.solo_network.build_backbone", lambda _: backbone)
    return enliven(SoloNetwork(tiny_config(**changes))).eval()


def features_of(model: onnx.ModelProto) -> npt.NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        features_alone(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {INPUT_NAME: film_canvases()})
    assert found.dtype == np.float32
    return np.asarray(found)


def check(network: SoloNetwork, folder: Path) -> None:
    """The graph's features are the map's means and deviations, and other precisions keep them."""
    model = trace(network)
    assert [output.name for output in model.graph.output] == [*OUTPUT_NAMES, FEATURES_NAME]
    with torch.inference_mode():
        images = torch.from_numpy(film_canvases()) - network.backbone.input_mean
        last = network.backbone(images / network.backbone.input_std)[-1].numpy()
    expected = np.concatenate([last.mean((2, 3)), last.std((2, 3))], 1)
    found = features_of(model)
    spread = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=1e-4 * spread)

    path = folder / "model.onnx"
    onnx.save(model, path)
    int8 = quantize(path, list(film_canvases()[:, 0]))
    for reduced, least in ((halve(model), 0.9999), (int8, 0.9)):
        onnx.checker.check_model(reduced)
        assert [output.name for output in reduced.graph.output] == [*OUTPUT_NAMES, FEATURES_NAME]
        near = features_of(reduced)
        assert near.shape == found.shape
        assert np.corrcoef(near.ravel(), found.ravel())[0, 1] > least
        assert (near != found).any()


@pytest.mark.parametrize("name", first(*BACKBONES))
@pytest.mark.long
def test_features_of_every_backbone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone: Backbone = BACKBONES[name]()  # type: ignore[operator]
    check(network_on(backbone, monkeypatch), tmp_path)


@pytest.mark.parametrize("variant", first(*VARIANTS))
@pytest.mark.long
def test_features_of_every_variant(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(network_on(FourConvolutions(), monkeypatch, variant=variant), tmp_path)
