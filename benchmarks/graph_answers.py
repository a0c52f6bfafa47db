"""Compares the answers of two exported files on the films of a data set.

    python -m benchmarks.graph_answers OLD.onnx NEW.onnx --films DIR

Each instance of the first file that scores what its manifest shows, or more, is paired with the one
of the second that has its label and overlaps it most. Prints how many have a partner, and the
largest differences of scores, of soft masks (of 255) and of pixels inside.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.bare_parts import open_session
from model.data.coco import load_coco
from model.data.radiograph import read_radiograph
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest

_SAME: Final = 0.99  # IoU of partners

Outputs = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]


@dataclass
class Difference:
    """What was seen so far."""

    films: int = 0
    instances: int = 0
    without_partner: int = 0
    more: int = 0
    score: float = 0.0
    mask: int = 0
    pixels: int = 0

    def add(self, first: Outputs, second: Outputs, shown: float) -> None:
        """One film's scores [K], labels [K] and masks uint8 [K, h, w] of both files."""
        self.films += 1
        instances, others = first[0] >= shown, second[0] >= shown
        self.instances += int(instances.sum())
        self.more += int(others.sum()) - int(instances.sum())
        for score, label, mask in zip(*(output[instances] for output in first), strict=True):
            partner = _partner(label, mask > 127, second)
            if partner is None:
                self.without_partner += 1
                continue
            other = second[2][partner]
            self.score = max(self.score, abs(float(score - second[0][partner])))
            self.mask = max(self.mask, int(np.abs(mask.astype(int) - other).max()))
            self.pixels = max(self.pixels, int(((mask > 127) != (other > 127)).sum()))


def _partner(label: int, inside: npt.NDArray[np.bool_], answer: Outputs) -> int | None:
    scores, labels, masks = answer
    found = masks > 127
    shared = (found & inside).sum((1, 2))
    iou = shared / np.maximum((found | inside).sum((1, 2)), 1)
    iou[(labels != label) | (scores <= 0)] = 0
    best = int(iou.argmax())
    return best if iou[best] > _SAME else None


def compare(old: Path, new: Path, films: Path) -> Difference:
    """Answers of both files for all films of a data set."""
    sessions = [open_session(path, 1) for path in (old, new)]
    manifest = Manifest.from_metadata(sessions[0].get_modelmeta().custom_metadata_map)
    difference = Difference()
    for record in load_coco(films).images:
        letterbox = Letterbox.fit((record.height, record.width), manifest.canvas_size)
        canvas = letterbox.apply(read_radiograph(record))[None, None]
        answers = [
            tuple(output[0] for output in session.run(list(OUTPUT_NAMES), {INPUT_NAME: canvas}))
            for session in sessions
        ]
        difference.add(answers[0], answers[1], manifest.score_threshold)
    return difference


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.graph_answers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--films", type=Path, required=True, help="a COCO data set")
    arguments = parser.parse_args(argv)
    found = compare(arguments.old, arguments.new, arguments.films)
    print(
        f"{found.films} films, {found.instances} instances: {found.without_partner} without a "
        f"partner, {found.more} more; scores within {found.score:.1e}, masks within {found.mask} "
        f"of 255, at most {found.pixels} pixels of a mask inside in one file only"
    )


if __name__ == "__main__":
    main()
