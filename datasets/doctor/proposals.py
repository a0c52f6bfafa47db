"""Proposal of grids and scale ranges that fit the objects of a data set."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from datasets.doctor.cells import Survey
from model.configuration.network import Level, ModelConfig

_GRIDS = (12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 64)
_OVERLAP = math.sqrt(2)  # the paper's neighbouring ranges share a factor of two

Look = Callable[[ModelConfig], Survey]


def propose(current: Survey, look: Look) -> Survey:
    """Searches the ranges and grids under which the fewest objects are lost.

    Each level gets an equal part of the objects by scale, with ranges that overlap as the paper's
    do. Then all levels' grids grow finer, as long as a step saves one object in two hundred. The
    current configuration is returned where nothing is better.

    Args:
        current: what the configuration makes of the objects.
        look: surveys the same objects under another configuration.
    """
    if not current.objects:
        return current
    scales = np.array([item.scale for item in current.objects if item.trouble != "too small"])
    ranged = replace(current.config, levels=_ranges(scales, current.config))
    best = current
    candidates = [look(ranged)]
    candidates += [look(_with_grids(ranged, step)) for step in range(1, 4)]
    for candidate in candidates:
        saved = _bad(best) - _bad(candidate)
        if saved > 0.005 * len(current.objects):
            best = candidate
    return best


def describe_levels(config: ModelConfig) -> str:
    """The levels as they stand in a configuration."""
    return "levels=(\n" + "".join(f"    {level},\n" for level in config.levels) + ")"


def _bad(survey: Survey) -> int:
    return survey.count("lost") + survey.count("out of scale range")


def _ranges(
    scales: np.ndarray[tuple[int], np.dtype[np.float64]], config: ModelConfig
) -> tuple[Level, ...]:
    count = len(config.levels)
    largest = float(2 * max(config.canvas_size))
    if not len(scales) or count == 1:
        return tuple(replace(level, scale_range=(1.0, largest)) for level in config.levels)
    edges = np.quantile(scales, np.arange(1, count) / count)
    lows = [1.0, *(float(round(edge / _OVERLAP)) for edge in edges)]
    highs = [*(float(math.ceil(edge * _OVERLAP)) for edge in edges), largest]
    return tuple(
        replace(level, scale_range=(low, high))
        for level, low, high in zip(config.levels, lows, highs, strict=True)
    )


def _with_grids(config: ModelConfig, steps: int) -> ModelConfig:
    """Every level's grid some steps finer; no finer than a cell of 8 canvas pixels."""
    finest = max(min(config.canvas_size) // 8, max(level.num_grid for level in config.levels))
    levels = []
    for level in config.levels:
        finer = [grid for grid in _GRIDS if level.num_grid < grid <= finest]
        grid = finer[min(steps, len(finer)) - 1] if finer else level.num_grid
        levels.append(replace(level, num_grid=grid))
    return replace(config, levels=tuple(levels))
