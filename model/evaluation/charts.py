"""Charts as pictures: lines over axes with a legend, and a matrix of counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from model.evaluation.lettering import (
    BLACK,
    TEXT_SIZE,
    Colour,
    Picture,
    text_width,
    write,
    write_upwards,
)

# Okabe and Ito's colours, which most who see few colours can tell apart; blue, green, red.
COLOURS: tuple[Colour, ...] = (
    *((178, 114, 0), (0, 94, 213), (115, 158, 0), (167, 121, 204), (0, 159, 230)),
    *((233, 180, 86), (90, 90, 90), (66, 228, 240)),
)
GREY, PALE, WHITE = ((grey,) * 3 for grey in (110, 225, 255))
_PLOT = (360, 480)  # height and width of what the axes enclose, in pixels
_TOP, _BOTTOM, _LEFT, _RIGHT = 44, 56, 70, 20
_LEGEND = 230
_TICKS = 6
_CELL = 56
_LONGEST_NAME = 26  # characters


@dataclass(frozen=True)
class Line:
    """One line of a chart; points whose y is None are left out.

    Attributes:
        name: in the legend.
        points: (x, y) in order.
        marked: a point that is drawn as a dot.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    marked: tuple[float, float] | None = None


def line_chart(
    title: str,
    axes: tuple[str, str],
    lines: Sequence[Line],
    y_range: tuple[float, float] | None = None,
    x_range: tuple[float, float] | None = None,
) -> Picture:
    """Lines over labelled axes, with a legend beside them, which names as many as it has room for.

    Args:
        title: above the chart.
        axes: what the x and the y axis show.
        lines: each has a colour of its own, up to eight.
        y_range: of the axis; without, from 0 to the highest point.
        x_range: of the axis; without, from 0 to the farthest point.

    Returns:
        uint8 [460, 800, 3], BGR.
    """
    height, width = _PLOT
    size = (_TOP + height + _BOTTOM, _LEFT + width + _RIGHT + _LEGEND, 3)
    picture: Picture = np.full(size, 255, np.uint8)
    every = [(x, y) for line in lines for x, y in line.points if y is not None]
    x_low, x_high = x_range or (0, _round_up(max((x for x, _ in every), default=1)))
    y_low, y_high = y_range or (0, _round_up(max((y for _, y in every), default=1)))

    def place(x: float, y: float) -> tuple[int, int]:
        across, up = (x - x_low) / (x_high - x_low), (y - y_low) / (y_high - y_low)
        return round(_LEFT + across * width), round(_TOP + (1 - min(up, 1.0)) * height)

    for tick in np.linspace(0, 1, _TICKS):
        x, y = x_low + tick * (x_high - x_low), y_low + tick * (y_high - y_low)
        cv2.line(picture, place(x_low, y), place(x_high, y), PALE)
        cv2.line(picture, place(x, y_low), place(x, y_high), PALE)
        write(picture, f"{x:.3g}", (place(x, y_low)[0], _TOP + height + 20), align=0.5)
        write(picture, f"{y:.3g}", (_LEFT - 8, place(x_low, y)[1] + 5), align=1)
    cv2.rectangle(picture, place(x_low, y_high), place(x_high, y_low), GREY)
    write(picture, title, (_LEFT, 26), size=18)
    write(picture, axes[0], (_LEFT + width // 2, _TOP + height + 44), align=0.5)
    write_upwards(picture, axes[1], (20, _TOP + height // 2), align=0.5)
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        ends = [place(x, y) for x, y in line.points if y is not None]
        for end in ends if len(ends) == 1 else ():
            cv2.circle(picture, end, 3, colour, -1, cv2.LINE_AA)
        cv2.polylines(picture, [np.array(ends, np.int32).reshape(-1, 1, 2)], False, colour, 2, 16)
        if line.marked is not None:
            cv2.circle(picture, place(*line.marked), 6, WHITE, -1, cv2.LINE_AA)
            cv2.circle(picture, place(*line.marked), 6, colour, 2, cv2.LINE_AA)
    _write_legend(picture, [line.name for line in lines])
    return picture


def _write_legend(picture: Picture, names: Sequence[str]) -> None:
    left = _LEFT + _PLOT[1] + _RIGHT
    room = _PLOT[0] // 22
    shown = names if len(names) <= room else names[: room - 1]
    for number, name in enumerate(shown):
        y = _TOP + 14 + 22 * number
        cv2.line(picture, (left, y - 5), (left + 18, y - 5), COLOURS[number % len(COLOURS)], 3)
        write(picture, _shorten(name), (left + 26, y))
    if len(shown) < len(names):
        more = f"and {len(names) - len(shown)} more"
        write(picture, more, (left + 26, _TOP + 14 + 22 * len(shown)))


def matrix_chart(
    title: str, axes: tuple[str, str], names: Sequence[str], counts: npt.NDArray[np.int64]
) -> Picture:
    """A square matrix of counts, each cell the darker the larger its part of its row.

    Args:
        title: above it.
        axes: what columns and rows are.
        names: of rows and columns, n.
        counts: int64 [n, n].

    Returns:
        uint8 [height, width, 3], BGR.
    """
    cell = max(18, min(_CELL, 1400 // len(names)))
    short = [_shorten(name) for name in names]
    margin = 60 + max(text_width(name) for name in short)
    side = cell * len(names)
    width = max(margin + side + 30, 30 + text_width(title, 18))
    picture: Picture = np.full((margin + side + 50, width, 3), 255, np.uint8)
    write(picture, title, (16, margin + side + 34), size=18)
    write(picture, axes[0], (margin + side // 2, 22), align=0.5)
    write_upwards(picture, axes[1], (22, margin + side // 2), align=0.5)
    parts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    for row, name in enumerate(short):
        first = margin + cell * row
        write(picture, name, (margin - 8, first + cell // 2 + 5), align=1)
        write_upwards(picture, name, (first + cell // 2 + 5, margin - 8), align=0)
        for column, (part, count) in enumerate(zip(parts[row], counts[row], strict=True)):
            left = margin + cell * column
            shade = tuple(round(255 + part * (end - 255)) for end in COLOURS[0])
            corner = (left + cell - 1, first + cell - 1)
            cv2.rectangle(picture, (left, first), corner, shade, -1)
            cv2.rectangle(picture, (left, first), (left + cell, first + cell), PALE)
            size = TEXT_SIZE if text_width(str(count)) < cell else 10
            if count:
                middle = (left + cell // 2, first + cell // 2 + size // 3)
                write(picture, str(count), middle, size, WHITE if part > 0.5 else BLACK, 0.5)
    return picture


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


def _round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 2.5, 3, 4, 5, 7.5 and 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    steps = (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10)
    return float(next(step * power for step in steps if step * power >= value * 0.999))
