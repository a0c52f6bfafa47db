"""Configuration files in TOML: read and checked, and written with everything resolved."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w

from model.configuration.fields import NONE
from model.configuration.recipe import Preset
from model.configuration.run import (
    RUN,
    TABLES,
    Layer,
    RunSettings,
    ValidationSettings,
    check_tables,
)

_HEAD = """\
# All settings of this run, for `python -m model.train --config THIS_FILE --out ANOTHER_FOLDER`.
# Flags override the file; docs/training.md explains the fields.
"""
_PATHS = ("data", "weights", "backbone_weights", "val")


def read_toml(path: Path) -> Layer:
    """Reads a configuration file.

    Raises:
        ValueError: naming the first key that is unknown or whose value is wrong, and the nearest
            right one.
    """
    try:
        return check_tables(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except ValueError as error:  # the decoders' errors are its kin
        raise ValueError(f"{path}: {error}") from None


def write_toml(
    path: Path, run: RunSettings, preset: Preset, validation: ValidationSettings
) -> None:
    """Writes all settings of a run, so that `read_toml` gives them back from wherever."""
    training = asdict(preset.train)
    values = {
        RUN: asdict(run),
        "network": asdict(preset.model),
        "training": training,
        "augmentation": training["augmentation"],
        "validation": asdict(validation),
    }
    content: dict[str, Any] = {}
    for table, hints in TABLES.items():
        known = {key: value for key, value in values[table].items() if key in hints}
        if table in (RUN, "validation"):
            content |= _plain(known) if table == RUN else {table: _plain(known)}
        else:
            content[table] = {key: NONE if v is None else v for key, v in known.items()}
    path.write_text(_HEAD + tomli_w.dumps(content), encoding="utf-8")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Without what is not set; paths absolute."""
    given = {key: value for key, value in values.items() if value is not None}
    if not str(given.get("folds", 5)).isdecimal():
        given["folds"] = str(Path(given["folds"]).absolute())
    return given | {key: str(Path(given[key]).absolute()) for key in _PATHS if key in given}
