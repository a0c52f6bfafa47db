"""The three toy tasks of CoordConv (arXiv 1807.03247), with coordinate channels and without.

    python -m experiments.coord_conv --picture docs/coord-conv.png

Prints a table in Markdown: how many of the places a network answers rightly, of those it was taught
and of those that were held out, here and there ("uniform") or a whole quarter of the canvas
("quadrant"). Rendering is scored by intersection over union.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

import cv2
import torch

from experiments.coord_conv.learning import Lesson, teach
from experiments.coord_conv.networks import coordinate_network, plain_network
from experiments.coord_conv.picture import draw_maps
from experiments.coord_conv.tasks import SplitName, Task, all_tasks

NETWORKS = {"plain": plain_network, "coordinates": coordinate_network}
_SMALLEST_SIDE = 16


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.coord_conv",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--side", type=int, default=32, help="of the canvas; the paper's is 64")
    parser.add_argument("--steps", type=int, help="for every network, not the task's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="a PNG of maps of the canvas")
    arguments = parser.parse_args(argv)
    side = arguments.side
    if side < _SMALLEST_SIDE or side & (side - 1):
        parser.error(f"--side must be a power of two, {_SMALLEST_SIDE} or more")
    torch.set_num_threads(arguments.threads)
    print("| task | split | network | weights | taught | held out |\n|---|---|---|---|---|---|")
    rows = [
        run_task(task, side, arguments.steps or task.steps, arguments.seed)
        for task in all_tasks(side)
    ]
    if arguments.picture:
        if arguments.picture.exists():
            print(f"{arguments.picture} is there already: it is replaced", file=sys.stderr)
        if not cv2.imwrite(str(arguments.picture), draw_maps(rows)):
            print(f"{arguments.picture} cannot be written", file=sys.stderr)
            return 1
    return 0


def run_task(task: Task, side: int, steps: int, seed: int) -> list[tuple[str, Lesson]]:
    """Both splits and both networks; prints a line of the table for each.

    Returns:
        A title and what was learned, four times.
    """
    lessons = []
    for split_name in get_args(SplitName):
        for name, build in NETWORKS.items():
            torch.manual_seed(seed)
            network = build(side, from_picture=task.from_picture)
            lesson = teach(network, task, side, split_name, steps=steps, seed=seed)
            taught, held_out = f"{lesson.train_score:.3f}", f"{lesson.test_score:.3f}"
            cells = (task.name, split_name, name, lesson.parameters, taught, held_out)
            print("|", " | ".join(map(str, cells)), "|", flush=True)
            lessons.append((f"{task.name.split()[-1]}, {name}: {held_out}", lesson))
    return lessons


if __name__ == "__main__":
    raise SystemExit(main())
