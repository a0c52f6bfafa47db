"""The settings of a run: tables of fields, as its file has them and its command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model.configuration.fields import check_value, hints_of, unknown_key
from model.configuration.network import ModelConfig
from model.configuration.recipe import Augmentation, TrainConfig

THEIR_WORDS = {
    "imgsz": "canvas_size",
    "resolution": "canvas_size",
    "canvas": "canvas_size",
    "lr": "learning_rate",
    "lr0": "learning_rate",
    "rate": "learning_rate",
    "batch": "batch_size",
    "steps": "iterations",
    "flip": "mirror",
    "fliplr": "mirror",
    "degrees": "rotation_degrees",
    "amp": "precision",
    "freeze": "frozen_backbone",
    "conf": "candidate_threshold",
}
"""What other tools call a field, so that a sentence can say what it is called here."""


@dataclass(frozen=True)
class RunSettings:
    """What a run starts from.

    Attributes:
        preset: the name of the network and recipe that the rest changes.
        data: a COCO data set: its folder, or its JSON file.
        weights: a checkpoint to fine-tune.
        backbone_weights: a torchvision state dict for a ResNet or ConvNeXt.
        seed: of the first weights, the order of the films and every augmentation.
    """

    preset: str | None = None
    data: str | None = None
    weights: str | None = None
    backbone_weights: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:  # as TOML and torch have whole numbers
            raise ValueError(f"seed must be 0 or more, below 2**63, not {self.seed}")


@dataclass(frozen=True)
class ValidationSettings:
    """What a run is validated on while it trains, and how often.

    Attributes:
        val: another COCO data set to validate on.
        fold: hold this fold of the patients out, and validate on it.
        folds: how many folds there are, or a JSON file with a list of the patients of each.
        validate_every: passes over the films from one validation to the next.
        patience: stop after so many validations without a better one.
    """

    val: str | None = None
    fold: int | None = None
    folds: int | str = 5
    validate_every: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.val is not None and self.fold is not None:
            raise ValueError("val and fold exclude each other: films to validate on, or a part")
        if self.validate_every is not None and not self.validate_every > 0:
            raise ValueError(f"validate_every must be above 0, not {self.validate_every}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience must be 1 or more, not {self.patience}")


Table = dict[str, Any]
_MOST_EPOCHS = 1_000_000
RUN = "run"  # the table whose keys stand at the top of a file
TABLES: dict[str, dict[str, Any]] = {
    RUN: hints_of(RunSettings),
    "network": hints_of(ModelConfig, "class_names", "category_ids"),
    "training": {**hints_of(TrainConfig, "augmentation"), "epochs": float},
    "augmentation": hints_of(Augmentation),
    "validation": hints_of(ValidationSettings),
}
"""The fields of each table and their types. Classes are the data set's."""


@dataclass(frozen=True)
class Layer:
    """Some fields of a run by table, as a file or a command line gives them.

    Attributes:
        tables: checked values by field, a dictionary for each of `TABLES`.
    """

    tables: dict[str, Table] = field(default_factory=lambda: {name: {} for name in TABLES})

    def __post_init__(self) -> None:
        training = self.tables["training"]
        if "epochs" in training and "iterations" in training:
            raise ValueError("epochs and iterations exclude each other: give one of them")
        for name, value in ((n, v) for table in self.tables.values() for n, v in table.items()):
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(each, float) and not math.isfinite(each) for each in numbers):
                raise ValueError(f"{name} must be a finite number, not {value}")
        if not 0 < training.get("epochs", 1) <= _MOST_EPOCHS:
            raise ValueError(
                f"epochs must be above 0 and at most {_MOST_EPOCHS}, not {training['epochs']}"
            )

    def over(self, other: Layer, table: str) -> Table:
        """A table of this layer laid over another's."""
        return {**other.tables[table], **self.tables[table]}


def check_tables(content: Mapping[str, Any]) -> Layer:
    """Checks the content of a file: every key known, every value of its field's type.

    Raises:
        ValueError: for the first that is not, with the nearest right one.
    """
    layer = Layer()
    for key, value in content.items():
        if key not in TABLES or key == RUN:
            layer.tables[RUN][key] = _checked(RUN, key, value)
        elif not isinstance(value, Mapping):
            raise ValueError(f"'{key}' must be a table [{key}], not {value!r}")
        else:
            for inner, each in value.items():
                layer.tables[key][inner] = _checked(key, inner, each)
    return Layer(layer.tables)  # checked as a whole


def _checked(table: str, key: str, value: Any) -> Any:  # noqa: ANN401  # of whatever type
    where = "the top" if table == RUN else f"[{table}]"
    if key not in TABLES[table]:
        meant = THEIR_WORDS.get(key, key)
        for other, hints in TABLES.items():
            if meant in hints:
                there = "at the top" if other == RUN else f"in [{other}]"
                raise ValueError(f"{where} has no '{key}': '{meant}' stands {there}")
        if key in TABLES:
            raise ValueError(
                f"{where} has no '{key}': "
                + ("its keys stand at the top" if key == RUN else f"it is a table, [{key}]")
            )
        elsewhere = [name for hints in TABLES.values() for name in hints]
        raise ValueError(unknown_key(where, key, [*TABLES[table], *TABLES, *elsewhere]))
    name = key if table == RUN else f"[{table}] {key}"
    if key == "batch_size" and value == "auto":
        raise ValueError(
            f"{name} must be a number: 'auto' is for the command line, --batch-size auto"
        )
    return check_value(name, TABLES[table][key], value)
