"""Typed fields: values from files and command lines, checked against a dataclass."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

NONE = "none"  # TOML and command lines have no null
Hints = Mapping[str, Any]


def hints_of(kind: type, *without: str) -> dict[str, Any]:
    """The types of a dataclass's fields by their names, in their order."""
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind) if each.name not in without}


def check_value(name: str, hint: Any, value: Any) -> Any:  # noqa: ANN401  # of whatever type
    """A value as its field has it: lists become tuples, whole numbers floats.

    Args:
        name: in the error.
        hint: the field's type.
        value: as TOML or JSON has it.

    Raises:
        ValueError: if it is of another type, with the nearest right one where there is a choice.
    """
    if value == NONE and NoneType in get_args(hint):
        return None
    inner = get_args(hint)[0] if get_origin(hint) is tuple else None
    if is_dataclass(inner) and isinstance(inner, type) and isinstance(value, list | tuple):
        return tuple(_record(f"{name}[{place}]", inner, each) for place, each in enumerate(value))
    length = len(get_args(hint)) if inner and Ellipsis not in get_args(hint) else None
    if length and isinstance(value, list | tuple) and len(value) != length:
        raise ValueError(f"{name} must be a list of {length}, not {value!r}")
    try:
        return TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except (ValidationError, TypeError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "Wrong type"
        meant = nearest(value, get_args(hint)) if get_origin(hint) is Literal else ""
        what = first.removeprefix("Input should be ")
        raise ValueError(f"{name} must be {what}, not {value!r}{meant}") from None


def unknown_key(name: str, key: str, known: Iterable[str]) -> str:
    """The sentence about a key that is none of the known ones, with the one that may be meant."""
    return f"{name} has no '{key}'{nearest(key, known)}"


def nearest(value: Any, choices: Iterable[str]) -> str:  # noqa: ANN401  # of whatever type
    """The end of a sentence on a value that is none of the choices; "" where none is near."""
    close = difflib.get_close_matches(str(value), list(choices), 1, cutoff=0.5)
    return f": is '{close[0]}' meant?" if close else ""


def _record(name: str, kind: type, value: Any) -> Any:  # noqa: ANN401  # a dataclass of that kind
    hints = hints_of(kind)
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a table with {', '.join(hints)}, not {value!r}")
    for key in value:
        if key not in hints:
            raise ValueError(unknown_key(name, key, hints))
    checked = {key: check_value(f"{name}.{key}", hints[key], value[key]) for key in value}
    missing = [key for key in hints if key not in checked]
    if missing:
        raise ValueError(f"{name} lacks {', '.join(missing)}")
    return kind(**checked)
