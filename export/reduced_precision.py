"""Precision variants of an exported model, written only if as good on annotated films."""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import onnx
import onnxruntime

from export.onnx_export import (
    as_metadata,
    check_place,
    read_graph,
    read_manifest,
    trained_films,
    write_model,
)
from export.out_of_distribution import describe, fit_score
from export.score_graph import with_features
from model.cli import finish, tell
from model.data.coco import CocoDataset, load_coco
from model.data.radiograph import read_radiograph
from model.data.seen_films import SEEN_FILMS_HELP, require_unseen, unknown_films
from model.data.split import FOLDS_HELP, Folds, folds_argument, split_by_patient
from model.evaluation.average_precision import Number
from model.evaluation.images import Prediction, restore
from model.evaluation.measure import measure
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest

MOST_LOSS = 0.005

Bits = Literal["float16", "int8"]
Figures = dict[str, Number]
Convert = Callable[[Path, Manifest, CocoDataset], onnx.ModelProto]
"""Makes the variant's graph of a file, its manifest, and films that the network may have seen."""


class WorseError(RuntimeError):
    """The variant loses more than it may."""


def variant_command(
    argv: list[str] | None, module: str, about: str | None, bits: Bits, convert: Convert
) -> int:
    """Command line of a module that makes a precision variant; returns the exit code.

    Args:
        argv: arguments, or None for the process's own.
        module: such as `export.half`.
        about: what `--help` says.
        bits: the variant's precision.
        convert: makes the variant's graph; its metadata do not matter.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--data",
        "--films",
        type=Path,
        action="append",
        required=True,
        help="a COCO data set: both are compared on the first, the out-of-distribution output is "
        "fitted on all",
    )
    parser.add_argument("--fold", type=int, help="the model was trained without this fold")
    parser.add_argument("--folds", type=folds_argument, default=Folds(), help=FOLDS_HELP)
    parser.add_argument("--seen-films", action="store_true", help=SEEN_FILMS_HELP)
    parser.add_argument("--most-loss", type=float, default=MOST_LOSS, help="of AP")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    return finish(lambda: _make(arguments, bits, convert), WorseError, before="not written: ")


def quality(model: bytes, data: CocoDataset) -> Figures:
    """AP, Dice and counts of an exported model on a data set, as `model.evaluate.measure`."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return measure(data, _predictions(session, data))


def _predictions(session: Any, data: CocoDataset) -> Iterator[Prediction]:  # noqa: ANN401
    manifest = Manifest.from_metadata(session.get_modelmeta().custom_metadata_map)
    labels_here = data.labels_of(manifest.class_names)
    for record in data.images:
        letterbox = Letterbox.fit((record.height, record.width), manifest.canvas_size)
        canvas = letterbox.apply(read_radiograph(record))[None, None]
        scores, labels, masks = session.run(list(OUTPUT_NAMES), {INPUT_NAME: canvas})
        instances = Instances.from_outputs(scores[0], labels[0], masks[0]).relabelled(labels_here)
        yield restore(record, instances, letterbox, manifest.mask_threshold)


def _expose_features(path: Path, manifest: Manifest, folder: Path) -> Path:
    """The same model with `features` in place of its score, so that a converter keeps them."""
    if manifest.out_of_distribution is None:
        return path
    exposed = folder / path.name
    onnx.save(with_features(onnx.load(path)), exposed)
    return exposed


def _make(arguments: argparse.Namespace, bits: Bits, convert: Convert) -> None:
    check_place(arguments.out, arguments.model)
    given = arguments.model.read_bytes()
    manifest = read_manifest(arguments.model)
    trained = trained_films(read_graph(arguments.model))
    if manifest.precision != "float32":
        raise ValueError(f"{arguments.model} is in {manifest.precision} already")
    first, *others = [load_coco(folder) for folder in arguments.data]
    seen = unseen = first
    if arguments.fold is not None:
        seen, unseen = split_by_patient(first, arguments.fold, arguments.folds)
        if trained is None:
            tell(unknown_films(arguments.model))
        elif not arguments.seen_films:
            require_unseen(arguments.model, trained, first, unseen)
    with tempfile.TemporaryDirectory() as folder:
        model = _expose_features(arguments.model, manifest, Path(folder))
        graph = convert(model, manifest, seen)
    entry = None
    if manifest.out_of_distribution:
        graph, entry = fit_score(graph, [seen, *others])
        print(describe(entry, [seen, *others]))  # noqa: T201
    reduced = manifest.model_copy(
        update={
            "precision": bits,
            "float32_sha256": hashlib.sha256(given).hexdigest(),
            "out_of_distribution": entry,
        }
    )
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {**reduced.to_metadata(), **as_metadata(trained)})
    before, after = quality(given, unseen), quality(graph.SerializeToString(), unseen)
    for name, figures in (("float32", before), (bits, after)):
        said = ", ".join(f"{key} {value}" for key, value in figures.items())
        print(f"{name:<8} on {len(unseen.images)} films: {said}")  # noqa: T201
    if not before["ap"] or after["ap"] is None:
        raise ValueError("the model finds nothing right in these films: nothing to compare")
    lost = before["ap"] - after["ap"]
    if lost > arguments.most_loss:
        raise WorseError(f"AP falls by {lost:.3f}, and may by {arguments.most_loss:g}")
    write_model(graph, arguments.out)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB")  # noqa: T201
