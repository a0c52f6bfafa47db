"""Evaluates a network: AP, Dice, outlines and scores, in the films' own pixels.

python -m model.evaluate CHECKPOINT --data DIR --report OUT
python -m model.evaluate runs/fold{0,1,2,3,4}/checkpoint.pt --data DIR

Prints the figures as JSON. The report has them too, as tables in Markdown, with precision-recall
curves, the confusion matrix and pictures of the worst films.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import torch

from model.cli import finish, tell
from model.data.coco import CocoDataset, load_coco
from model.data.seen_films import SEEN_FILMS_HELP, require_unseen, unknown_films
from model.data.split import FOLDS_HELP, Folds, folds_argument, split_by_patient
from model.evaluation.images import Prediction
from model.evaluation.measure import SCORE_THRESHOLD, assess, predict
from model.evaluation.report import refuse_to_overwrite, write_report
from model.network.checkpoint import load_network, trained_films
from model.network.device import usable_device
from model.network.solo_network import SoloNetwork


def cross_validate(
    networks: list[SoloNetwork], data: CocoDataset, folds: int | Folds
) -> tuple[CocoDataset, Iterator[Prediction]]:
    """Cross-validates: each film is answered by the network trained without its patient.

    Args:
        networks: the k-th was trained with `--fold k --folds folds`; the last ones may be absent.
        data: all films.
        folds: how many the patients were dealt out to.

    Raises:
        ValueError: if there are more networks than folds, or `split_by_patient` refuses.
    """
    held_out = parts_held_out(len(networks), data, folds)
    films = data.subset(tuple(record for part in held_out for record in part.images))
    predictions = map(predict, networks, held_out)
    return films, chain.from_iterable(predictions)


def parts_held_out(networks: int, data: CocoDataset, folds: int | Folds) -> list[CocoDataset]:
    """The films that each of the first so many networks has to answer in a cross-validation."""
    count = folds if isinstance(folds, int) else folds.count
    if networks > count:
        raise ValueError(f"there are {networks} networks for {count} folds")
    return [split_by_patient(data, fold, folds)[1] for fold in range(networks)]


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    return finish(lambda: _evaluate(arguments))


def _evaluate(arguments: argparse.Namespace) -> None:
    if arguments.worst < 0 or not 0 <= arguments.score_threshold <= 1:
        raise ValueError("--worst must be 0 or more, --score-threshold from 0 to 1")
    if arguments.report:
        refuse_to_overwrite(arguments.report)
        arguments.report.mkdir(parents=True, exist_ok=True)
    device = usable_device(arguments.device)
    data = load_coco(arguments.data)
    networks = [load_network(path).to(device) for path in arguments.checkpoints]
    if len(networks) == 1:
        whole = data
        if arguments.fold is not None:
            _, data = split_by_patient(whole, arguments.fold, arguments.folds)
        _require_unseen(arguments, whole, [data])
        predictions = predict(networks[0], data)
    elif arguments.fold is not None:
        raise ValueError("--fold is for one checkpoint: several answer for a fold each, in order")
    else:
        _require_unseen(arguments, data, parts_held_out(len(networks), data, arguments.folds))
        data, predictions = cross_validate(networks, data, arguments.folds)
    lowest = max(network.config.candidate_threshold for network in networks)
    quality, films = assess(data, predictions, arguments.score_threshold, lowest)
    if arguments.report:
        write_report(arguments.report, data, quality, films, arguments.worst)
    print(json.dumps(quality.to_dict(), indent=1))  # noqa: T201  # the command's answer


def _require_unseen(
    arguments: argparse.Namespace, data: CocoDataset, measured: list[CocoDataset]
) -> None:
    if arguments.seen_films:
        return
    for path, films in zip(arguments.checkpoints, measured, strict=True):
        trained = trained_films(path)
        if trained is None:
            tell(unknown_films(path))
        else:
            require_unseen(path, trained, data, films)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "checkpoints",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        help="several are the first of --folds folds, in order: each answers for the patients "
        "that it has not seen, and all answers are measured together",
    )
    add("--data", type=Path, required=True, help="a COCO data set")
    add("--fold", type=int, help="only the films that training held out")
    add("--folds", type=folds_argument, default=Folds(), help=FOLDS_HELP)
    add("--seen-films", action="store_true", help=SEEN_FILMS_HELP)
    add("--score-threshold", type=float, default=SCORE_THRESHOLD, help="for Dice and counts")
    add("--report", type=Path, help="a folder, new or empty, for tables and pictures")
    add("--worst", type=int, default=8, help="films to draw in the report")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
