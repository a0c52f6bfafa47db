"""Configurations: kept whole on disk, refused where they contradict themselves."""

from __future__ import annotations

import json

import pytest
import torch

from model.configuration.network import ModelConfig
from model.configuration.presets import PRESETS
from model.network.solo_network import SoloNetwork
from tests.support.tiny import CATEGORIES, tiny_config

presets = pytest.mark.parametrize("name", sorted(PRESETS))


@presets
def test_a_config_survives_json(name: str) -> None:
    config = PRESETS[name](CATEGORIES).model
    restored = ModelConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert restored == config
    assert hash(restored) == hash(config)  # tuples, not lists
    assert ModelConfig.from_dict(config.to_dict()) == config


@presets
def test_a_preset_is_a_network_for_the_given_classes(name: str) -> None:
    preset = PRESETS[name](CATEGORIES)
    assert (preset.model.class_names, preset.model.category_ids) == CATEGORIES
    with torch.device("meta"):  # shapes without memory
        outputs = SoloNetwork(preset.model).eval()(torch.empty(1, 1, *preset.model.canvas_size))
        masks = outputs.candidate_masks(torch.zeros(1, 3, dtype=torch.int64))
    grids = [level.num_grid for level in preset.model.levels]
    assert [logits.shape for logits in outputs.category_logits] == [(1, 2, g, g) for g in grids]
    height, width = preset.model.canvas_size
    assert masks.shape == (1, 3, height // 4, width // 4)


# Parameters of the published networks with 80 classes, in millions.
PUBLISHED = {
    "solo-r50": 36.30,
    "decoupled-solo-r50": 40.03,
    "decoupled-solo-light-r50": 32.35,
    "solov2-r50": 46.59,
    "solov2-light-r50": 31.34,
    "solov2-light-r18": 18.27,
}


@pytest.mark.parametrize(("name", "millions"), PUBLISHED.items())
def test_a_preset_is_as_large_as_the_published_network(name: str, millions: float) -> None:
    categories = tuple(f"class {i}" for i in range(80)), tuple(range(80))
    with torch.device("meta"):
        network = SoloNetwork(PRESETS[name](categories).model)
    colour = 2 * 64 * 7 * 7  # the published first convolution sees three channels
    total = sum(parameter.numel() for parameter in network.parameters()) + colour
    assert total / 1e6 == pytest.approx(millions, abs=0.005)


@presets
def test_no_object_falls_between_the_levels_of_a_preset(name: str) -> None:
    config = PRESETS[name](CATEGORIES).model
    diagonal = max(config.canvas_size)
    ranges = [level.scale_range for level in config.levels]
    for scale in (1, 2, 27, 28, 56.5, 96, 112.5, 448, diagonal):
        if scale <= diagonal:
            assert any(low <= scale <= high for low, high in ranges)


@pytest.mark.parametrize("canvas", [(0, 64), (64, 100), (16, 64), (-32, 64)])
def test_a_canvas_of_another_size_is_refused(canvas: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="canvas_size must be two multiples of 32, not"):
        tiny_config(canvas_size=canvas)


@pytest.mark.parametrize(("names", "ids"), [(("a", "b"), (1,)), ((), ()), ((), (1,))])
def test_classes_without_their_ids_are_refused(
    names: tuple[str, ...], ids: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="must run in parallel"):
        tiny_config(class_names=names, category_ids=ids)
