"""Evaluates a network: AP, Dice, outlines and scores, in the films' own pixels.

python -m model.evaluate CHECKPOINT --data DIR --report OUT
python -m model.evaluate runs/fold{0,1,2,3,4}/checkpoint.pt --data DIR

Prints the figures as JSON. The report has them too, as tables in Markdown, and pictures of the
worst films.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import torch
from tqdm import tqdm

from model.cli import finish, tell
from model.data.coco import CocoDataset, load_coco
from model.data.radiograph import read_radiograph
from model.data.seen_films import SEEN_FILMS_HELP, require_unseen, unknown_films
from model.data.split import FOLDS_HELP, Folds, folds_argument, split_by_patient
from model.evaluation.average_precision import Number
from model.evaluation.images import ImageQuality, Prediction, judge
from model.evaluation.quality import Quality, summarise
from model.evaluation.report import refuse_to_overwrite, write_report
from model.network.checkpoint import load_network, trained_films
from model.network.device import usable_device
from model.network.postprocess import find_instances
from model.network.solo_network import SoloNetwork
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox

SCORE_THRESHOLD = 0.3


def predict(network: SoloNetwork, data: CocoDataset) -> Iterator[Prediction]:
    """Infers the instances of each film, with the data set's labels, masks in its own pixels.

    Raises:
        ValueError: unless network and data set have the same classes.
    """
    config = network.config
    labels_here = data.labels_of(config.class_names)
    device = next(network.parameters()).device
    for record in tqdm(data.images, desc="evaluating", unit="film"):
        film = read_radiograph(record)
        letterbox = Letterbox.fit((record.height, record.width), config.canvas_size)
        canvas = torch.from_numpy(letterbox.apply(film))[None, None].to(device)
        with torch.inference_mode():
            scores, labels, masks = find_instances(network(canvas), config)
        instances = Instances.from_outputs(
            scores[0].cpu().numpy(), labels[0].cpu().numpy(), masks[0].cpu().numpy()
        ).relabelled(labels_here)
        yield record, instances, letterbox.restore(instances, config.mask_threshold)


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


def measure(
    data: CocoDataset, predictions: Iterable[Prediction], score_threshold: float = SCORE_THRESHOLD
) -> dict[str, Number]:
    """Headline metrics: AP over all instances; Dice and counts from `score_threshold` on.

    Returns:
        `ap`, `ap50`, `ap75` (COCO, mask IoU), `dice` (mean over annotated objects of the best
        matching instance of the same class, 0 for an object that was not found), and
        `right_count`, the part of films with as many instances as were annotated. None where
        there is nothing to find.
    """
    films = [judge(each, score_threshold, distances=False) for each in predictions]
    figures = summarise(data, films).to_dict()
    return {name: figures[name] for name in ("ap", "ap50", "ap75", "dice", "right_count")}


def assess(
    data: CocoDataset, predictions: Iterable[Prediction], score_threshold: float = SCORE_THRESHOLD
) -> tuple[Quality, list[ImageQuality]]:
    """All metrics, and the quality of each film."""
    films = [judge(each, score_threshold, distances=True) for each in predictions]
    return summarise(data, films), films


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
    quality, films = assess(data, predictions, arguments.score_threshold)
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
