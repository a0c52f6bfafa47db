"""Exports a checkpoint to one self-describing ONNX file.

python -m export CHECKPOINT --about ABOUT.toml --films DIR --out MODEL.onnx
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.onnx_export import export, read_about
from export.parity import ParityError
from model.cli import finish, tell_replacement
from model.data.coco import load_coco
from model.data.radiograph import read_radiograph
from model.network.checkpoint import keep_weights, load_network
from solo.contract.letterbox import Letterbox

_MOST_FILMS = 20


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
        "--films", type=Path, required=True, help="a COCO data set whose films are compared on"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights-out", type=Path, help="the weights alone, to fine-tune from")
    arguments = parser.parse_args(argv)
    return finish(lambda: _export(arguments), ParityError, before="not exported: ")


def _export(arguments: argparse.Namespace) -> None:
    for out in filter(None, (arguments.out, arguments.weights_out)):
        if not out.parent.is_dir():
            raise FileNotFoundError(f"{out.parent} is not a folder")
    network = load_network(arguments.checkpoint)
    about = read_about(arguments.about)
    canvases = load_canvases(arguments.films, network.config.canvas_size)
    parity = export(network, about, canvases, arguments.out)
    if arguments.weights_out:
        tell_replacement(arguments.weights_out)
        keep_weights(arguments.checkpoint, arguments.weights_out)
    print(  # noqa: T201  # the command's answer
        f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB\n"
        f"on {parity.films} films with {parity.instances} instances, at batch sizes 1, 2 and 5, "
        f"scores are within {parity.score:.1e} and masks within {parity.mask} of 255 of PyTorch's"
    )


def load_canvases(folder: Path, canvas_size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Letterboxes films of a data set, float32 [n, 1, H, W], evenly chosen, n <= 20."""
    images = load_coco(folder).images
    step = max(1, len(images) // _MOST_FILMS)
    canvases = [
        Letterbox.fit((record.height, record.width), canvas_size).apply(read_radiograph(record))
        for record in images[::step][:_MOST_FILMS]
    ]
    return np.stack(canvases)[:, None]


if __name__ == "__main__":
    raise SystemExit(main())
