"""Every variant as an exported file: the one graph interface, and answers as in PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from export.onnx_export import export
from model.configuration.network import ModelConfig
from model.network.solo_network import SoloNetwork
from solo.contract.instances import Instances
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest
from tests.support.exported import ABOUT, film_canvases
from tests.support.tiny import FourConvolutions, enliven, tiny_config

CONFIGS = {
    "solo": tiny_config(variant="solo", nms_kernel="linear", min_area=40.0),
    "decoupled_solo": tiny_config(variant="decoupled_solo", nms_across_classes=True),
    "decoupled_solo_light": tiny_config(variant="decoupled_solo_light", max_overlap=0.5),
}


@pytest.mark.long
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_variant_exports_to_the_same_interface(
    config: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.network.solo_network.build_backbone", lambda _: FourConvolutions())
    out = tmp_path / "model.onnx"
    network = enliven(SoloNetwork(config))
    parity = export(network, ABOUT, film_canvases(), out)  # at batch sizes 1, 2 and 5
    assert parity.instances > 2 * parity.films

    model = onnx.load(out)
    manifest = Manifest.from_metadata({entry.key: entry.value for entry in model.metadata_props})
    assert manifest.variant == config.variant
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs()] == [INPUT_NAME]
    assert [node.name for node in session.get_outputs()] == list(OUTPUT_NAMES)
    images = np.concatenate([film_canvases(2), np.zeros((1, 1, 64, 64), np.float32)])
    scores, labels, masks = session.run(list(OUTPUT_NAMES), {INPUT_NAME: images})
    assert [scores.dtype, labels.dtype, masks.dtype] == [np.float32, np.int64, np.uint8]
    assert scores.shape == labels.shape == (3, config.max_instances)
    assert masks.shape == (3, config.max_instances, 16, 16)
    assert (np.diff(scores) <= 0).all()
    for row in zip(scores[:2], labels[:2], masks[:2], strict=True):
        assert (Instances.from_outputs(*row).masks > 127).any(axis=(1, 2)).all()
