"""Configuration files: every field is reached, every mistake is named."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from model.configuration.network import Level
from model.configuration.presets import PRESETS
from model.configuration.recipe import Preset
from model.configuration.resolve import apply_layer, set_length
from model.configuration.run import Layer, RunSettings, ValidationSettings
from model.configuration.toml_file import read_toml, write_toml
from tests.support.tiny import CATEGORIES, tiny_preset


def changed(text: str, folder: Path, preset: Preset | None = None) -> Preset:
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    return apply_layer(preset or tiny_preset(), read_toml(folder / "mine.toml"))


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    preset = PRESETS[name](CATEGORIES)
    path = tmp_path / "config.toml"
    run = RunSettings(name, data="/films", seed=3)
    write_toml(path, run, preset, ValidationSettings(fold=2, patience=5))
    layer = read_toml(path)
    assert apply_layer(tiny_preset(), layer) == preset  # whatever it is laid over
    assert RunSettings(**layer.tables["run"]) == run
    assert ValidationSettings(**layer.tables["validation"]) == ValidationSettings(
        fold=2, patience=5
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[network]\nshared_cell = 'all'", "[network] has no 'shared_cell': is 'shared_cells' m"),
        ("[training]\nlr0 = 0.1", "[training] has no 'lr0': 'learning_rate' stands in [training]"),
        ("imgsz = 320", "the top has no 'imgsz': 'canvas_size' stands in [network]"),
        ("[training]\nmirror = 0.1", "[training] has no 'mirror': 'mirror' stands in [augmentat"),
        ("[trainig]\nbatch_size = 2", "the top has no 'trainig': is 'training' meant?"),
        ("network = 3", "'network' must be a table [network], not 3"),
        ("[network]\nclass_names = ['x']", "[network] has no 'class_names'"),
        ("[network]\nvariant = 'solo2'", "not 'solo2': is 'solov2' meant?"),
        ("[training]\nbatch_size = '8'", "[training] batch_size must be a valid integer, not '8'"),
        ("[training]\nbatch_size = true", "[training] batch_size must be a valid integer"),
        ("[network]\nlevels = [{pyramid = 3}]", "levels[0] lacks stride, num_grid, scale_range"),
        ("[network]\nlevels = [3]", "[network] levels[0] must be a table with pyramid, stride"),
        (
            "[network]\nlevels = [{pyramid=3, stride=8, num_grids=8, scale_range=[1, 9]}]",
            "levels[0] has no 'num_grids': is 'num_grid' meant?",
        ),
        ("[network]\ncanvas_size = [300, 300]", "(288, 288) is the nearest"),
        ("[network]\nmask_threshold = 1.5", "mask_threshold must lie in 0.0 to 1.0, not 1.5"),
        ("[training]\nlearning_rate = -1.0", "learning_rate must lie in"),
        ("[training]\nlearning_rate = nan", "learning_rate must"),
        ("[training]\nmilestones = [2.0]", "milestones are parts of the run in (0, 1), not (2.0,"),
        ("[training]\nepochs = 3\niterations = 4", "epochs and iterations exclude each other"),
        ("[training", "mine.toml"),
        ("[run]\nseed = 1", "the top has no 'run': its keys stand at the top"),
        ("[training]\naugmentation = {}", "has no 'augmentation': it is a table, [augmentation]"),
        ("[augmentation]\nscale = [0.5]", "[augmentation] scale must be a list of 2, not [0.5]"),
        ("[training]\nepochs = nan", "epochs must be a finite number, not nan"),
        ("[training]\nepochs = inf", "epochs must be a finite number"),
        ("[training]\nepochs = 1e300", "epochs must be above 0 and at most 1000000, not 1e+300"),
        ("[training]\niterations = 10_000_000_000", "iterations must be 1000000000 or fewer"),
        ("[validation]\nvalidate_every = inf", "validate_every must be a finite number"),
        ("[augmentation]\nrotation_degrees = nan", "rotation_degrees must be a finite number"),
        ("[augmentation]\nrotation_degrees = -3.0", "rotation_degrees must be from 0 to 180"),
        ("[augmentation]\naspect = -1.0", "augmentation.aspect must be from 0 to 1"),
        ("[augmentation]\nscale = [1.2, 0.8]", "scale must be the smallest factor and"),
        ("[augmentation]\nscale = [-1.0, 2.0]", "scale must be the smallest factor and"),
        ("[augmentation]\nscale = [0.5, inf]", "scale must be a finite number"),
        ("[network]\nmin_area = -3.0", "min_area must be 0 or more, not -3.0"),
        ("[network]\nnorm = 'group'\nhead_channels = 33", "must be multiples of 32, not 33"),
    ],
)
def test_a_mistake_is_named_with_what_may_be_meant(
    text: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        changed(text, tmp_path)


def test_a_byte_order_mark_of_an_editor_is_passed_over(tmp_path: Path) -> None:
    assert changed("\ufeff[training]\nclip_norm = 3.0", tmp_path).train.clip_norm == 3


def test_none_is_written_in_a_word(tmp_path: Path) -> None:
    preset = tiny_preset()
    small = replace(preset, model=replace(preset.model, min_area=16))
    assert changed("[network]\nmin_area = 'none'", tmp_path, small).model.min_area is None
    assert changed("[network]\nmin_area = 3", tmp_path, small).model.min_area == 3


def test_rates_follow_the_batch_unless_they_are_given() -> None:
    preset = tiny_preset(batch_size=8)  # AdamW at 2e-3, the backbone at 1e-3
    said: list[str] = []

    def training(base: Preset, **fields: object) -> tuple[float, float]:
        layer = Layer()
        layer.tables["training"].update(fields)
        train = apply_layer(base, layer, said.append).train
        return train.learning_rate, train.backbone_learning_rate

    assert training(preset, batch_size=2) == pytest.approx((1e-3, 5e-4))  # the root of a quarter
    assert "for a batch of 2 in place of 8" in said[0]
    papers = replace(preset, train=replace(preset.train, optimizer="sgd"))
    assert training(papers, batch_size=2) == pytest.approx((5e-4, 2.5e-4))
    assert training(preset, batch_size=2, learning_rate=4e-3) == pytest.approx((4e-3, 2e-3))
    said.clear()
    assert training(preset, batch_size=8) == (2e-3, 1e-3)
    assert not said


def test_scale_ranges_grow_with_the_canvas() -> None:
    layer = Layer()
    layer.tables["network"]["canvas_size"] = (96, 128)  # half as much again as (64, 64)
    ranges = [level.scale_range for level in apply_layer(tiny_preset(), layer).model.levels]
    assert ranges == [(1.5, 60), (30, 384)]
    layer.tables["network"]["levels"] = (Level(3, 8, 8, (1, 40)),)
    assert apply_layer(tiny_preset(), layer).model.levels[0].scale_range == (1, 40)


def test_epochs_are_rounded_up_to_steps() -> None:
    train = tiny_preset(batch_size=8).train
    assert [set_length(train, epochs, 12).iterations for epochs in (1, 2, 0.1)] == [2, 3, 1]
