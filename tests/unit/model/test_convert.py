"""Published checkpoints: every layout, strictly, and what a grey film makes of colour weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model.configuration.network import VariantName
from model.configuration.presets import PRESETS
from model.configuration.recipe import Preset
from model.convert import convert, main, read_published, rename
from model.network.checkpoint import (
    CheckpointError,
    adopt_backbone,
    fine_tune,
    load_checkpoint,
    load_network,
    save_checkpoint,
)
from model.network.resnet import BasicBlock, ResNet
from model.network.solo_network import SoloNetwork
from tests.support.coco_folder import disc_folder
from tests.support.published import adelaidet_names, published_state, wxinlong_names
from tests.support.small_network import small_config
from tests.support.tiny import seeded, tiny_preset

VARIANTS: list[VariantName] = ["solo", "decoupled_solo", "decoupled_solo_light", "solov2"]


def preset(variant: VariantName = "solov2", **changes: Any) -> Preset:
    config = small_config(variant=variant, backbone="resnet18", **changes)
    return Preset(config, tiny_preset().train)


LAYOUTS = [
    *((variant, layout) for variant in VARIANTS for layout in ("mmdetection", "wxinlong")),
    ("solov2", "adelaidet"),  # which has no other
]


@pytest.mark.parametrize(("variant", "layout"), LAYOUTS)
def test_every_weight_finds_its_place(variant: VariantName, layout: str) -> None:
    recipe = preset(variant)
    state = published_state(recipe.model)
    theirs = {"wxinlong": wxinlong_names, "adelaidet": adelaidet_names}.get(layout, dict)(state)
    network, filled = convert(theirs, recipe)
    assert filled
    own = network.state_dict()
    renamed, found_layout = rename(theirs)
    assert found_layout == layout
    counters = {name for name in own if name.endswith("num_batches_tracked")}
    assert renamed.keys() | counters == own.keys()
    # Every value stands under the name that was filled, but for the stem, which has become grey.
    for name, value in renamed.items():
        if name not in ("backbone.conv1.weight", "backbone.bn1.running_mean"):
            assert torch.equal(own[name], value), name


def test_the_same_weights_under_three_names_are_one_network() -> None:
    recipe = preset()
    state = published_state(recipe.model)
    first, _ = convert(state, recipe)
    for theirs in (wxinlong_names(state), adelaidet_names(state)):
        other, _ = convert(theirs, recipe)
        for (name, one), two in zip(
            first.state_dict().items(), other.state_dict().values(), strict=True
        ):
            # The stem sees otherwise normalised films, and frozen norms count no steps.
            if not name.startswith(("backbone.conv1", "backbone.bn1")) and one.ndim:
                assert torch.equal(one, two), name


@pytest.mark.parametrize(
    ("layout", "mean", "std"),
    [
        ("mmdetection", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ("adelaidet", (103.53, 116.28, 123.675), (1.0, 1.0, 1.0)),
    ],
)
def test_a_grey_film_looks_as_it_did_in_colour(
    layout: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    recipe = preset()
    state = published_state(recipe.model)
    network, _ = convert(adelaidet_names(state) if layout == "adelaidet" else state, recipe)
    colour = ResNet(BasicBlock, (2, 2, 2, 2), in_channels=3).eval()
    prefix = "backbone."
    colour.load_state_dict(
        {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}
    )
    film = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    channels = [(255 * film - m) / s for m, s in zip(mean, std, strict=True)]
    grey = (film - network.backbone.input_mean) / network.backbone.input_std
    own = network.backbone
    assert isinstance(own, ResNet)
    with torch.inference_mode():
        expected = colour.bn1(colour.conv1(torch.cat(channels, dim=1)))
        found = own.bn1(own.conv1(grey))
    spread = float(expected.std())
    # Along the border the colour network pads with another grey.
    torch.testing.assert_close(
        found[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], rtol=1e-4, atol=1e-4 * spread
    )


def test_other_classes_leave_the_category_layer_as_it_was() -> None:
    state = published_state(preset().model)
    recipe = preset(class_names=("a", "b"), category_ids=(1, 2))
    torch.manual_seed(5)
    network, filled = convert(state, recipe)
    assert not filled
    torch.manual_seed(5)
    fresh = seeded(recipe.model, 5).state_dict()
    assert network.head.category.weight.shape == (2, 64, 3, 3)
    assert torch.equal(network.head.category.weight, fresh["head.category.weight"])
    name = "head.kernel_tower.0.conv.weight"
    assert torch.equal(network.state_dict()[name], state["mask_head.kernel_convs.0.conv.weight"])


def broken(change: str) -> tuple[dict[str, Tensor], str]:
    state = published_state(preset().model)
    if change == "missing":
        del state["mask_head.conv_kernel.bias"]
        return state, "lack 'head.kernel.bias'"
    if change == "extra":
        state["mask_head.conv_iou.weight"] = torch.zeros(1)
        return state, "'mask_head.conv_iou.weight' has no place"
    if change == "deformable":
        state["mask_head.cls_convs.1.conv.conv_offset.weight"] = torch.zeros(1)
        return state, "deformable"
    if change == "shape":
        state["neck.fpn_convs.0.conv.bias"] = torch.zeros(256)
        return state, r"'fpn.output.0.bias' is \[256\] in the weights, \[64\]"
    return {"fc.weight": torch.zeros(1)}, "'fc.weight' is no name of a published SOLO network"


@pytest.mark.parametrize("change", ["missing", "extra", "deformable", "shape", "foreign"])
def test_the_first_key_that_does_not_fit_is_named(change: str) -> None:
    state, sentence = broken(change)
    with pytest.raises(CheckpointError, match=sentence):
        convert(state, preset())


def test_training_goes_on_with_the_backbone_of_the_weights(tmp_path: Path) -> None:
    """Its keys and shapes are those of the other form: nothing else would tell."""
    recipe = Preset(small_config(backbone="resnet50"), tiny_preset().train)
    network, _ = convert(adelaidet_names(published_state(recipe.model)), recipe)
    assert network.config == small_config(backbone="resnet50_caffe")
    path = tmp_path / "converted.pt"
    kept = Preset(network.config, recipe.train)
    save_checkpoint(path, kept, {"weights": network.state_dict()})
    assert adopt_backbone(recipe, path) == kept
    fine_tune(SoloNetwork(kept.model), path)
    with pytest.raises(CheckpointError, match="for the backbone resnet50_caffe, the network has"):
        fine_tune(SoloNetwork(recipe.model), path)
    other = preset()
    assert adopt_backbone(other, path) == other


def command(folder: Path, *more: str) -> int:
    given = ["--preset", "solov2-light-r18", "--out", str(folder / "out.pt")]
    return main([str(folder / "published.pth"), *given, *more])


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder with mmdetection's file of a network with three classes, and films of two."""
    categories = ("a", "b", "c"), (1, 2, 3)
    state = published_state(PRESETS["solov2-light-r18"](categories).model)
    torch.save({"meta": {"epoch": 36}, "state_dict": state}, tmp_path / "published.pth")
    disc_folder(tmp_path / "films", 2)
    return tmp_path


def test_the_command_writes_a_checkpoint(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(published) == 0
    assert "3 classes, all weights are the published ones" in capsys.readouterr().out
    recipe, _ = load_checkpoint(published / "out.pt")
    assert recipe.model.class_names == ("class 1", "class 2", "class 3")
    network = load_network(published / "out.pt")
    expected = read_published(published / "published.pth")["mask_head.conv_cls.bias"]
    assert torch.equal(network.state_dict()["head.category.bias"], expected)

    assert command(published) == 1  # nothing is written over
    assert re.search(r"not converted: .*out\.pt exists already", capsys.readouterr().err)


def test_the_command_takes_the_classes_of_a_data_set(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(published, "--data", str(published / "films")) == 0
    assert "all weights but the category layer's" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no file"),
        (b"no torch file", "is damaged"),
        ({"state_dict": {}}, "holds no state dict"),
        ({"model": {"a": 1}}, "something else than tensors"),
        ({"a": Path("a")}, "holds more than weights"),
    ],
)
def test_a_file_that_holds_no_weights_is_a_sentence(
    content: object, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if isinstance(content, bytes):
        (tmp_path / "published.pth").write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / "published.pth")
    assert command(tmp_path) == 1
    said = capsys.readouterr().err
    assert said.startswith("not converted: ")
    assert sentence in said
    assert not (tmp_path / "out.pt").exists()
