"""Conversion against the recorded key lists and heads of the reference implementations."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from model.configuration.network import VariantName
from model.configuration.presets import PRESETS
from model.convert import convert, rename
from model.network.heads import build_head
from tests.support import goldens
from tests.support.mmdet_names import load_mmdet
from tests.support.published import adelaidet_names, published_state, wxinlong_names
from tests.support.small_network import small_config

LISTS = goldens.FOLDER.parent / "reference" / "checkpoint-keys"
PRESET_OF = {
    "solo_r50_fpn_1x": "solo-r50",
    "decoupled-solo_r50_fpn_1x": "decoupled-solo-r50",
    "decoupled-solo-light_r50_fpn_3x": "decoupled-solo-light-r50",
    "solov2_r50_fpn_1x": "solov2-r50",
    "solov2-light_r50_fpn_ms-3x": "solov2-light-r50",
    "solov2-light_r18_fpn_ms-3x": "solov2-light-r18",
}
COCO = tuple(f"class {i}" for i in range(80)), tuple(range(80))


@pytest.mark.parametrize("name", PRESET_OF)
def test_a_published_file_fills_its_preset(name: str) -> None:
    path: Path = LISTS / f"keys_mmdet_{name}_coco.txt"
    if not path.is_file():
        pytest.skip(f"there is no key list {path.name}")
    published = {}
    for line in path.read_text().splitlines():
        key, shape = line.split(" ", 1)
        published[key] = torch.zeros(()).expand(ast.literal_eval(shape))
    preset = PRESETS[PRESET_OF[name]](COCO)
    # The lists are of real files: what the tests make up elsewhere has the same keys and shapes.
    made_up = {key: value.shape for key, value in published_state(preset.model).items()}
    assert made_up == {key: value.shape for key, value in published.items()}
    _, filled = convert(published, preset)
    assert filled


HEADS: list[tuple[VariantName, str]] = [
    ("solo", "head_solo_train"),
    ("decoupled_solo", "head_decoupled"),
    ("decoupled_solo_light", "head_decoupled_light"),
    ("solov2", "head_solov2"),
]


LAYOUTS = [
    *((*head, layout) for head in HEADS for layout in ("mmdetection", "wxinlong")),
    ("solov2", "head_solov2", "adelaidet"),  # which has no other
]


@pytest.mark.parametrize(("variant", "file", "layout"), LAYOUTS)
def test_a_recorded_head_is_filled_under_any_names(
    variant: VariantName, file: str, layout: str
) -> None:
    """So the recorded instances, which the head gives with these weights, are the converted's."""
    weights = goldens.state_dict(goldens.load(file))
    config = small_config(variant=variant)
    expected = build_head(config)
    load_mmdet(expected, weights)

    theirs = {f"mask_head.{key}": torch.tensor(value) for key, value in weights.items()}
    translate = {"wxinlong": wxinlong_names, "adelaidet": adelaidet_names}.get(layout, dict)
    converted, found_layout = rename(translate(theirs))
    assert found_layout == layout
    head = build_head(config)
    head.load_state_dict({key.removeprefix("head."): value for key, value in converted.items()})
    for (name, one), two in zip(
        head.state_dict().items(), expected.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two), name
