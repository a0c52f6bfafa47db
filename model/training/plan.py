"""Plan of a run: what its file, its flags and its data set say together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from model.configuration.fields import nearest
from model.configuration.presets import PRESETS
from model.configuration.recipe import Preset
from model.configuration.resolve import Say, apply_layer, set_length
from model.configuration.run import RUN, Layer, RunSettings, ValidationSettings
from model.configuration.toml_file import read_toml
from model.data.coco import CocoDataset
from model.training.recipes import paper_recipe

ADVICE = "training.toml"  # in a data set's folder, by the doctor
_FILMS = {"val", "fold"}  # either names the films to validate on
_SPLITS = (("train", "valid"), ("train", "val"), ("train", "validation"))


@dataclass(frozen=True)
class Plan:
    """The settings of a run before its films are known.

    Attributes:
        run: what it starts from.
        validation: what it is validated on.
        file: what a configuration file changes in the preset.
        flags: what the command line changes then.
    """

    run: RunSettings
    validation: ValidationSettings
    file: Layer
    flags: Layer

    @property
    def data(self) -> Path:
        """The data set."""
        assert self.run.data is not None
        return Path(self.run.data)

    @property
    def name(self) -> str:
        """The data set's folder, by which a run is called; of a split, the one above it."""
        folder = self.data if self.data.is_dir() else self.data.parent
        return folder.parent.name if folder.name in ("train", "annotations") else folder.name


def make_plan(config: Path | None, flags: Layer, say: Say) -> Plan:
    """Finds the file of a run, and lays the flags over it.

    Args:
        config: the file; that of the data set's folder is taken where there is none.
        flags: of the command line.
        say: told which file is taken, and what it is not taken for.

    Raises:
        ValueError: if no data set or no preset is named, or a file cannot be read as one.
    """
    file = read_toml(config) if config else Layer()
    run = RunSettings(**flags.over(file, RUN))
    if run.data is None:
        raise ValueError("--data is missing: a COCO data set, its folder or its JSON file")
    run, split = _split_folders(run, say)
    if config is None:
        file = _advice(Path(str(run.data)), run.preset, say)
        run = RunSettings(**{**flags.over(file, RUN), "data": run.data})
    elif run.preset != file.tables[RUN].get("preset", run.preset):
        raise ValueError(
            f"--preset {run.preset} is not that of {config}, "
            f"{file.tables[RUN]['preset']}: leave one of the two out"
        )
    if run.preset is None:
        raise ValueError(
            f"--preset or --config is missing: one of {', '.join(sorted(PRESETS))}, or a file. "
            f"`python -m datasets.doctor --data {run.data} --preset cxr-lungs --propose` writes "
            f"one into the data set"
        )
    if run.preset not in PRESETS:
        raise ValueError(
            f"preset must be one of {', '.join(sorted(PRESETS))}, not '{run.preset}'"
            f"{nearest(run.preset, PRESETS)}"
        )
    chosen = flags.over(file, "validation")
    given = _FILMS & flags.tables["validation"].keys()
    if given:  # whichever of the two the file names
        chosen = {key: value for key, value in chosen.items() if key not in _FILMS - given}
    if not _FILMS & chosen.keys():
        chosen |= split
    if "folds" in flags.tables["validation"] and chosen.get("fold") is None:
        raise ValueError("--folds needs --fold: the number of the one that is held out, from 0")
    return Plan(run, ValidationSettings(**chosen), file, flags)


def resolve(plan: Plan, data: CocoDataset, recipe: str | None, say: Say) -> Preset:
    """The network and recipe of a run on its films.

    Args:
        plan: of the run; its batch size is a number.
        data: the films to train on.
        recipe: one of the papers' schedules, or the preset's.
        say: told what follows from a field and is changed with it.

    Raises:
        ValueError: if a value is out of its range.
    """
    films = len(data.images)
    base = PRESETS[str(plan.run.preset)]((data.class_names, data.category_ids))
    preset = apply_layer(base, plan.file, say)
    if recipe is not None:
        size = plan.flags.tables["training"].get("batch_size", preset.train.batch_size)
        kept = ("augmentation", "accumulate", "precision", "frozen_backbone")
        train = paper_recipe(recipe, films, max(1, size))
        preset = replace(
            preset, train=replace(train, **{name: getattr(preset.train, name) for name in kept})
        )
    preset = apply_layer(preset, plan.flags, say)
    given, advised = plan.flags.tables["training"], plan.file.tables["training"]
    epochs = given.get("epochs")
    if epochs is None and "iterations" not in given and recipe is None:
        epochs = advised.get("epochs")
    if epochs is None:
        return preset
    return replace(preset, train=set_length(preset.train, epochs, films))


def _advice(data: Path, preset: str | None, say: Say) -> Layer:
    path = (data if data.is_dir() else data.parent) / ADVICE
    if not path.is_file():
        return Layer()
    file = read_toml(path)
    advised = file.tables[RUN].get("preset")
    if preset not in (None, advised):
        say(f"{path} is for the preset {advised}, not {preset}: it is left out")
        return Layer()
    say(f"the settings of {path} are taken; flags override them")
    return file


def _split_folders(run: RunSettings, say: Say) -> tuple[RunSettings, dict[str, str]]:
    """A folder of split folders, as Roboflow exports them: trained on one, validated on another."""
    root = Path(str(run.data))
    for train, val in _SPLITS:
        if (root / train).is_dir() and (root / val).is_dir() and not [*root.glob("*.json")]:
            say(f"{root / train} is trained on, {root / val} validated on")
            return replace(run, data=str(root / train)), {"val": str(root / val)}
    return run, {}
