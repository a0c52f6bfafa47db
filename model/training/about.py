"""Description of a trained model, about.toml: what the run knows, with gaps for what it cannot.

`python -m export --about` reads it and refuses it while a gap is open.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.cli import tell
from model.configuration.network import ModelConfig
from model.data.coco import CocoDataset, ImageRecord
from model.data.common_codes import common_codes
from model.evaluation.measure import SCORE_THRESHOLD, headline
from model.evaluation.quality import Quality

_HEAD = """\
# What the model file will say of itself: python -m export CHECKPOINT --about THIS_FILE ...
# The run wrote what it knows. Fill in the fields that are empty ("").
# If the run writes this file anew, it keeps the fields up to 'attribution' or 'intended_use',
# 'island_pixels' and the class codes.
"""
_BY_HAND = ("name", "version", "training_data", "licence", "attribution", "intended_use")
_ISLAND_PIXELS = 8  # as in the bundled models


@dataclass(frozen=True)
class TrainedOn:
    """What a network was trained by and on.

    Attributes:
        recipe: such as the preset's name.
        data_names: names of the data sets.
        data: the films.
    """

    recipe: str
    data_names: tuple[str, ...]
    data: CocoDataset


def describe_films(data: CocoDataset) -> str:
    """How many films of how many patients, with how many objects."""
    unnamed = sum(_is_unnamed(record) for record in data.images)
    named = len({record.patient for record in data.images if not _is_unnamed(record)})
    of = f" of {named} patients" if named else ""
    also = f" and {unnamed} more without one's name" if named and unnamed else ""
    objects = sum(not a.is_crowd for record in data.images for a in record.annotations)
    return f"{len(data.images)} films{of}{also}, {objects} objects"


def write_about(
    path: Path,
    config: ModelConfig,
    trained: TrainedOn | None = None,
    quality: Quality | None = None,
    metrics_on: str = "",
) -> None:
    """Writes about.toml; what was filled in by hand in an earlier one is kept.

    Args:
        path: of the file; the folder's name is the model's until somebody gives it another.
        config: of the network.
        trained: what it was trained on, where that is known.
        quality: on films that were held out, if any were.
        metrics_on: which films those are.
    """
    kept = _read_kept(path)
    known = {"name": path.resolve().parent.name, "version": "1"}
    lines = [_HEAD]
    for field in _BY_HAND if "intended_use" in kept else _BY_HAND[:-1]:
        value = kept.get(field) or known.get(field, "")
        lines.append(f"{field} = {_text(value)}{'' if value else _gap(field, trained)}")
    lines += ["", *_describe_run(trained), *_describe_threshold(config, quality)]
    islands = kept.get("island_pixels", _ISLAND_PIXELS)
    lines.append(f"island_pixels = {islands if type(islands) is int else _ISLAND_PIXELS}")
    on = metrics_on if quality else kept.get("metrics_on", "")
    gap = "" if on else '  # FILL IN: nothing was held out; measure it, or write "not measured"'
    lines += [f"metrics_on = {_text(on)}{gap}", "", "[metrics]"]
    figures = headline(quality) if quality else kept.get("metrics", {})
    lines += [f"{_key(k)} = {v:.4f}" for k, v in figures.items() if isinstance(v, int | float)]
    for name in config.class_names:
        lines += ["", *_describe_class(name, kept.get("class_codes", {}).get(name))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read_kept(path: Path) -> dict[str, Any]:
    """An earlier description, if it is one."""
    if not path.exists():
        return {}
    try:
        about = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        codes = about.get("class_codes", {})
        if not isinstance(about.get("metrics", {}), dict):
            raise ValueError("metrics is no table")
        if not all(isinstance(entry, str) for code in codes.values() for entry in code.values()):
            raise ValueError("class_codes is no table of tables of texts")
        if not all(isinstance(about.get(field, ""), str) for field in (*_BY_HAND, "metrics_on")):
            raise ValueError("one of the fields for texts has something else")
    except (ValueError, AttributeError) as error:
        aside = path.with_name(path.name + ".old")
        path.replace(aside)
        tell(f"{path} cannot be read ({error}): it is {aside.name} now, and a new one is written")
        return {}
    return about


def _gap(field: str, trained: TrainedOn | None) -> str:
    films = f'"{describe_films(trained.data)}" and where they are from' if trained else "a sentence"
    hints = {
        "training_data": f"such as {films}",
        "licence": "of the weights, such as Apache-2.0",
        "attribution": "who made films, outlines and first weights, with their licences; or none",
    }
    return f"  # FILL IN: {hints[field]}"


def _describe_run(trained: TrainedOn | None) -> Iterator[str]:
    if trained is None:
        return
    yield f"# Trained on {describe_films(trained.data)}."
    yield f"recipe = {_text(trained.recipe)}"
    yield f"data = [{', '.join(map(_text, trained.data_names))}]"


def _describe_threshold(config: ModelConfig, quality: Quality | None) -> Iterator[str]:
    proposed = quality.proposed if quality else None
    if proposed is None:
        yield "# Not measured: no film was held out, or nothing right was found on those that were."
        yield f"score_threshold = {max(SCORE_THRESHOLD, config.candidate_threshold)}"
        return
    told = "none" if proposed.precision is None else f"{proposed.precision:.3f}"
    yield (
        f"# Proposed: best mean F1 at IoU 0.5 ({proposed.f1:.3f}; precision {told}, recall "
        f"{proposed.recall:.3f})."
    )
    yield f"score_threshold = {proposed.score_threshold}"


def _describe_class(name: str, kept: Mapping[str, str] | None) -> Sequence[str]:
    head = f"[class_codes.{_key(name)}]"
    codes = kept or {
        role: ", ".join(code[part] for part in ("value", "scheme", "meaning"))
        for role, code in (common_codes(name) or {}).items()
        if code
    }
    if codes:
        return [head, *(f"{role} = {_text(code)}" for role, code in codes.items())]
    return [
        "# FILL IN, for DICOM SEG objects of this class: code, scheme, meaning.",
        f"# {head}",
        '# category = "91723000, SCT, Anatomical Structure"',
        '# type = ""',
    ]


def _is_unnamed(record: ImageRecord) -> bool:
    return record.patient == f"the one of image {record.image_id}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(value: str) -> str:
    """A TOML basic string, whose escapes are JSON's; DEL has to be one too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
