"""Resolution of a run's settings: a preset, what a file changes in it, what flags change then."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from model.configuration.network import Level, ModelConfig
from model.configuration.recipe import Preset, TrainConfig
from model.configuration.run import Layer, Table

Say = Callable[[str], None]


def apply_layer(preset: Preset, layer: Layer, say: Say = lambda _: None) -> Preset:
    """Changes a preset by the fields of a layer; all but `epochs`.

    What follows from a field and is not given itself is changed with it, and said: scale ranges
    with the canvas, rates with the batch, the backbone's rate with the rate.

    Raises:
        ValueError: if a value is out of its range.
    """
    return Preset(
        _changed_network(preset.model, layer.tables["network"], say),
        _changed_training(preset.train, layer, say),
    )


def set_length(train: TrainConfig, epochs: float, films: int) -> TrainConfig:
    """A recipe as long as so many passes over the films, rounded up to whole steps."""
    return replace(train, iterations=math.ceil(epochs * films / train.batch_size))


def scaled_rate(train: TrainConfig, batch_size: int) -> float:
    """Factor on the learning rate for another batch size.

    SGD's rate grows as the batch does (SOLO section 4). AdamW's steps do not grow with the
    gradient, only with its certainty: the square root (arXiv 2205.10287, section 5).
    """
    growth = batch_size / train.batch_size
    return growth if train.optimizer == "sgd" else math.sqrt(growth)


def on_canvas(model: ModelConfig, canvas_size: tuple[int, int]) -> ModelConfig:
    """The network on another canvas; the scale ranges of its levels grow with it."""
    levels = model.levels
    if len(levels) > 1:  # a single one is for all sizes
        growth = min(canvas_size) / min(model.canvas_size)
        levels = tuple(_grown(level, growth) for level in levels)
    return replace(model, canvas_size=canvas_size, levels=levels)


def _grown(level: Level, growth: float) -> Level:
    low, high = level.scale_range
    return replace(level, scale_range=(low * growth, high * growth))


def _changed_network(model: ModelConfig, table: Table, say: Say) -> ModelConfig:
    canvas_size = table.get("canvas_size", model.canvas_size)
    if "levels" not in table and canvas_size != model.canvas_size and len(canvas_size) == 2:
        changed = on_canvas(model, canvas_size)
        if changed.levels != model.levels:
            say("the scale ranges of the levels change as the canvas does")
        model = changed
    return replace(model, **table)


def _changed_training(train: TrainConfig, layer: Layer, say: Say) -> TrainConfig:
    table = {key: value for key, value in layer.tables["training"].items() if key != "epochs"}
    rates = ("learning_rate", "backbone_learning_rate")
    batch_size, optimizer = table.get("batch_size"), table.get("optimizer", train.optimizer)
    if "learning_rate" in table:
        growth = table["learning_rate"] / train.learning_rate
        why = "as the learning rate"
    elif batch_size not in (None, train.batch_size) and optimizer == train.optimizer:
        growth = scaled_rate(train, max(1, batch_size))
        rule = "" if optimizer == "sgd" else "the square root of "
        why = f"for a batch of {batch_size} in place of {train.batch_size} ({rule}their ratio)"
    else:
        growth, why = 1.0, ""
    for name in rates:
        if growth != 1 and name not in table:
            table[name] = getattr(train, name) * growth
            say(f"{name} is {table[name]:.3g} in place of {getattr(train, name):.3g}, {why}")
    augmentation = replace(train.augmentation, **layer.tables["augmentation"])
    return replace(train, **table, augmentation=augmentation)
