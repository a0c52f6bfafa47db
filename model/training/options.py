"""Command line of training: a flag for every field, and those of one call."""

from __future__ import annotations

import argparse
import difflib
import inspect
import re
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NoReturn, get_args, get_origin

import torch

from model.configuration.fields import NONE
from model.configuration.network import Level, ModelConfig
from model.configuration.presets import PRESETS
from model.configuration.recipe import Augmentation, TrainConfig
from model.configuration.run import RUN, TABLES, THEIR_WORDS, Layer, RunSettings, ValidationSettings
from model.training.recipes import SCHEDULES
from model.training.trackers import TRACKERS

AUTO = "auto"
_SHORT = {"canvas_size": "--canvas", "learning_rate": "--rate"}
_GROUPS: dict[str, tuple[str, type]] = {
    RUN: ("what a run starts from", RunSettings),
    "validation": ("validation while training", ValidationSettings),
    "training": ("the recipe: the preset's, the file's, or", TrainConfig),
    "augmentation": ("what changes at random in each film", Augmentation),
    "network": ("the network: the preset's, the file's, or", ModelConfig),
}
_LEVEL = "PYRAMID:STRIDE:GRID:FROM:TO"


def build_parser(description: str | None) -> argparse.ArgumentParser:
    """The parser; `layer_of` reads the flags of fields, which are absent unless given."""
    parser = _Parser(
        prog="python -m model.train",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config", type=Path, help="a TOML of settings, such as the config.toml of a run")
    add("--out", type=Path, help="a folder for all that a run writes; runs/<data set> by default")
    add("--recipe", choices=sorted(SCHEDULES), help="the papers' SGD schedule, not the preset's")
    add("--save-every", type=int, default=200, help="steps from one checkpoint to the next")
    add("--log", choices=sorted(TRACKERS), action="append", default=[], help="beside TensorBoard")
    add("--trust-films", action="store_true", help="do not read every film before the first step")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--threads", type=int, default=torch.get_num_threads())
    add("--workers", type=int, default=0, help="processes that prepare samples")
    for table, (title, kind) in _GROUPS.items():
        group = parser.add_argument_group(title)
        described = _attributes(kind)
        for name, hint in TABLES[table].items():
            how = _how(name, hint)
            if how:
                told = described.get(name, "passes over the films, in place of iterations")
                flags = [_SHORT[name]] if name in _SHORT else []
                flags += [f"--{name.replace('_', '-')}"]
                group.add_argument(
                    *flags, dest=f"{table}.{name}", default=argparse.SUPPRESS, help=told, **how
                )
    return parser


class _Parser(argparse.ArgumentParser):
    """Ends with a sentence; a page of usage before it would hide that."""

    def error(self, message: str) -> NoReturn:
        """Names the flag that may be meant."""
        _, unknown, text = message.partition("unrecognized arguments: ")
        flags = [word.partition("=")[0] for word in text.split() if word.startswith("--")]
        if unknown and flags:
            names = {name.removeprefix("--"): name for name in self._option_string_actions}
            name = flags[0].removeprefix("--").replace("-", "_")
            meant = THEIR_WORDS.get(name, name).replace("_", "-")
            close = difflib.get_close_matches(meant, list(names), 1, cutoff=0.5)
            message = f"there is no {flags[0]}"
            message += "".join(f": is {names[each]} meant?" for each in close)
        self.exit(2, f"{message} (--help lists all flags)\n")


def layer_of(arguments: argparse.Namespace) -> Layer:
    """The fields that were given as flags.

    Raises:
        ValueError: if two of them exclude each other.
    """
    layer = Layer()
    for dest, value in vars(arguments).items():
        table, dot, name = dest.partition(".")
        if dot:
            if name == "canvas_size" and len(value) == 1:
                value = value * 2
            whole = isinstance(value, list)
            layer.tables[table][name] = tuple(value) if whole else value
    return Layer(layer.tables)  # checked as a whole


def _attributes(kind: type) -> dict[str, str]:
    """What the docstring of a dataclass says of each field."""
    text = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", told).replace("%", "%%") for name, told in found}


def _how(name: str, hint: Any) -> dict[str, Any]:  # noqa: ANN401  # a type, or what typing makes
    """How argparse reads a field; nothing for one that only a file can give."""
    if name == "preset":
        return {"choices": sorted(PRESETS)}
    if name == "batch_size":
        return {"type": _batch_size, "metavar": "N|auto"}
    if name == "folds":
        return {"type": str, "metavar": "N|FILE"}
    inner = [each for each in get_args(hint) if each is not NoneType]
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if hint in (int, float, str):
        return {"type": hint, "metavar": hint.__name__.upper()}
    if get_origin(hint) is Literal:
        return {"choices": inner}
    if get_origin(hint) is tuple:
        return _several(inner)
    if len(inner) == 1 and inner[0] in (int, float, str):
        kind = inner[0]
        return {"type": _or_none(kind), "metavar": kind.__name__.upper()}
    return {}


def _several(inner: list[Any]) -> dict[str, Any]:
    kind = inner[0]
    if kind is Level:
        return {"type": _level, "nargs": "+", "metavar": _LEVEL}
    if kind not in (int, float, str):
        return {}
    if Ellipsis in inner:
        return {"type": kind, "nargs": "*", "metavar": kind.__name__.upper()}
    count = "+" if kind is int else len(inner)  # a canvas may be given by one side
    return {"type": kind, "nargs": count, "metavar": kind.__name__.upper()}


def _or_none(kind: type) -> Any:  # noqa: ANN401  # what argparse calls
    def read(text: str) -> Any:  # noqa: ANN401  # of that type
        return None if text == NONE and kind is not str else kind(text)

    read.__name__ = kind.__name__  # for argparse's sentence
    return read


def _batch_size(text: str) -> int | str:
    if text != AUTO and not text.strip().removeprefix("-").isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number or {AUTO} is needed, not '{text}'")
    return AUTO if text == AUTO else int(text)


def _level(text: str) -> Level:
    try:
        pyramid, stride, grid, low, high = text.split(":")
        return Level(int(pyramid), int(stride), int(grid), (float(low), float(high)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no level {_LEVEL}, such as 3:8:48:1:128 ({error})"
        ) from None
