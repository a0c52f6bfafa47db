"""Exports a checkpoint to one self-describing ONNX file.

python -m export CHECKPOINT --about ABOUT.toml --data DIR [--data DIR ...] --out MODEL.onnx
"""

from __future__ import annotations

import argparse
from pathlib import Path

from export.class_codes import tell_missing_codes
from export.films import load_canvases
from export.onnx_export import (
    check_place,
    describe_network,
    export,
    read_about,
    read_manifest,
)
from export.out_of_distribution import describe
from export.parity import ParityError
from model.cli import finish, tell_replacement
from model.data.coco import load_coco
from model.network.checkpoint import keep_weights, load_network, trained_films


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--about", type=Path, required=True, help="name, version, licence, ...")
    parser.add_argument(
        "--data",
        "--films",
        type=Path,
        action="append",
        required=True,
        help="a COCO data set of films like those that the model will answer for: some are "
        "compared on, all are what its out-of-distribution output is fitted on",
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights-out", type=Path, help="the weights alone, to fine-tune from")
    arguments = parser.parse_args(argv)
    return finish(lambda: _export(arguments), ParityError, before="not exported: ")


def _export(arguments: argparse.Namespace) -> None:
    check_place(arguments.out, arguments.checkpoint, arguments.about)
    if arguments.weights_out:
        check_place(arguments.weights_out, arguments.checkpoint, arguments.about, arguments.out)
    network = load_network(arguments.checkpoint)
    about = read_about(arguments.about)
    describe_network(network, about)  # its faults are told before films are read
    data = [load_coco(folder) for folder in arguments.data]
    canvases = load_canvases(data, network.config.canvas_size)
    trained = trained_films(arguments.checkpoint)
    parity = export(network, about, canvases, arguments.out, data, trained)
    if arguments.weights_out:
        tell_replacement(arguments.weights_out)
        keep_weights(arguments.checkpoint, arguments.weights_out)
    manifest = read_manifest(arguments.out)
    print(  # noqa: T201  # the command's answer
        f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB\n"
        f"on {parity.films} films with {parity.instances} instances, at batch sizes 1, 2 and 5, "
        f"scores are within {parity.score:.1e} and masks within {parity.mask} of 255 of PyTorch's\n"
        f"{tell_missing_codes(manifest)}{describe(manifest.out_of_distribution, data)}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
