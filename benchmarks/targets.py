"""Times target assignment against a loop over levels and objects, as the reference code has it.

    python -m benchmarks.targets

Both give the same targets; the loop's are compared. Times are medians of processor time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.made_masks import made_scene
from benchmarks.processor_time import seconds
from model.configuration.network import ModelConfig
from model.configuration.presets import PRESETS
from model.data.objects import Objects
from model.training.targets import assign, binary_mask_targets, mask_targets


def looped_targets(objects: Objects, config: ModelConfig) -> list[tuple[list[int], Tensor]]:
    """Cells and stride-4 masks of every level, one object after the other."""
    masks = (objects.masks >= 128).to(torch.uint8)
    height, width = masks.shape[1:]
    sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
    scales = sides.prod(1).sqrt()
    targets = []
    for level in config.levels:
        low, high = level.scale_range
        chosen = torch.nonzero((scales >= low) & (scales <= high)).flatten()
        cells: list[int] = []
        small: list[Tensor] = []
        if len(chosen):
            some = masks[chosen]
            pixels = some.sum((1, 2)).float().clamp(min=1e-6)
            centres_y = (some * torch.arange(height)[:, None]).sum((1, 2)) / pixels
            centres_x = (some * torch.arange(width)).sum((1, 2)) / pixels
            for mask, side, y, x in zip(some, sides[chosen], centres_y, centres_x, strict=True):
                if not mask.sum():
                    continue
                half_x, half_y = (0.5 * config.sigma * side).tolist()
                rows = _cells(float(y), half_y, height, level.num_grid)
                columns = _cells(float(x), half_x, width, level.num_grid)
                reduced = cv2.resize(
                    mask.numpy(), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_LINEAR
                )
                for row in rows:
                    for column in columns:
                        cells.append(row * level.num_grid + column)
                        small.append(torch.from_numpy(reduced))
        stacked = torch.stack(small) if small else masks.new_zeros(0, height // 4, width // 4)
        targets.append((cells, stacked))
    return targets


def _vectorised(
    objects: Objects, config: ModelConfig, reduce: Callable[[Tensor], Tensor]
) -> tuple[object, Tensor]:
    return assign(objects, config), reduce(objects.masks)


def _cells(centre: float, half: float, size: int, grid: int) -> range:
    def cell(position: float) -> int:
        return int(np.float32(position) / np.float32(size) / np.float32(1 / grid))

    middle = cell(centre)
    first = max(0, cell(centre - half), middle - 1)
    return range(first, min(grid - 1, cell(centre + half), middle + 1) + 1)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.targets", description=__doc__)
    parser.add_argument("--objects", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    count, size = arguments.objects, (800, 1344)
    scene = made_scene(np.random.default_rng(0), size, count, 1, 80)
    rows = [np.flatnonzero(mask.any(1))[[0, -1]] for mask in scene.truth]
    columns = [np.flatnonzero(mask.any(0))[[0, -1]] for mask in scene.truth]
    boxes = [(x[0], y[0], x[1] + 1, y[1] + 1) for x, y in zip(columns, rows, strict=True)]
    objects = Objects(
        torch.from_numpy(scene.truth * np.uint8(255)),
        torch.tensor(np.array(boxes), dtype=torch.float32),
        torch.from_numpy(scene.truth_labels),
    )
    categories = tuple(f"class {i}" for i in range(80)), tuple(range(80))
    config = PRESETS["solov2-r50"](categories).model

    loop = seconds(lambda: looped_targets(objects, config), arguments.repeats)
    binary = binary_mask_targets(objects.masks)
    for (cells, masks), level in zip(
        looped_targets(objects, config), assign(objects, config), strict=True
    ):
        assert cells == level.cells.tolist()
        assert torch.equal(binary[level.objects], masks.float())
    print(f"\n{count} objects, {size[0]} x {size[1]}\n\n| targets | ms | times faster |")
    print(f"|---|---|---|\n| loop | {1e3 * loop:.0f} | 1 |")
    for name, reduce in (("binary masks", binary_mask_targets), ("coverage", mask_targets)):
        taken = seconds(partial(_vectorised, objects, config, reduce), arguments.repeats)
        print(f"| vectorised, {name} | {1e3 * taken:.0f} | {loop / taken:.1f} |")


if __name__ == "__main__":
    main()
