"""Figures of an evaluation: precision over recall, and the confusion of classes."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from model.evaluation.average_precision import MATCHED_AT
from model.evaluation.charts import Line, line_chart, matrix_chart
from model.evaluation.lettering import Picture
from model.evaluation.quality import Quality


def draw_precision_recall(quality: Quality) -> Picture:
    """Precision over recall of each class that has objects, at IoU 0.5 and 0.75, with its AP.

    At 0.5 a dot is where the proposed threshold lies.
    """
    panels = []
    for iou, curves in zip(MATCHED_AT, quality.curves, strict=True):
        lines = []
        for name, curve in zip(quality.classes, curves, strict=True):
            if curve[0] < 0:
                continue
            recalls = np.linspace(0, 1, len(curve))
            # Beyond the last recall that is reached the precision is 0: the line falls.
            points = list(zip(recalls.tolist(), curve.tolist(), strict=True))
            marked = _marked(quality, name) if iou == MATCHED_AT[0] else None
            lines.append(Line(f"{curve.mean():.2f} {name}", points, marked))
        title = f"IoU {iou}: AP of each class"
        if iou == MATCHED_AT[0] and quality.proposed is not None:
            title += f"; dots: scores from {quality.proposed.score_threshold:.2f} on"
        panels.append(line_chart(title, ("recall", "precision"), lines, (0, 1), (0, 1)))
    return np.hstack(panels)


def _marked(quality: Quality, name: str) -> tuple[float, float] | None:
    if quality.proposed is None:
        return None
    found = quality.proposed.classes[name]
    if found.recall is None or found.precision is None:
        return None
    return found.recall, found.precision


def draw_confusion(quality: Quality) -> Picture:
    """What the objects of each class were taken for, at the threshold of `Quality.confusion`."""
    proposed = quality.proposed
    threshold = proposed.score_threshold if proposed else quality.score_threshold
    return matrix_chart(
        f"instances that score {threshold:.2f} or more, IoU 0.5",
        ("found as", "annotated as"),
        [*quality.classes, "nothing"],
        quality.confusion,
    )


def draw_training(rows: list[dict[str, float | None]], losses: list[str]) -> Picture:
    """Losses, and AP, AP50 and Dice, over the passes of a run; a dot is the best AP.

    Args:
        rows: with `passes`, the losses, `ap`, `ap50` and `dice`, and `best`, of each validation.
        losses: their names.
    """
    passes = [float(row["passes"] or 0) for row in rows]

    def line(key: str, name: str, marked: tuple[float, float] | None = None) -> Line:
        values = [_finite(row.get(key)) for row in rows]
        return Line(name, list(zip(passes, values, strict=True)), marked)

    best = [
        (at, float(row["ap"] or 0)) for at, row in zip(passes, rows, strict=True) if row["best"]
    ]
    left = [line(name, name) for name in losses]
    right = [
        line("ap", "AP" if not best else f"AP, best {best[-1][1]:.3f}", best[-1] if best else None),
        line("ap50", "AP50"),
        line("dice", "Dice, score 0.3"),
    ]
    return np.hstack(
        [
            line_chart("losses in training", ("passes over the films", "mean loss"), left),
            line_chart("on the validation films", ("passes over the films", ""), right, (0, 1)),
        ]
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def save_picture(path: Path, picture: Picture) -> None:
    """Writes a PNG."""
    _, png = cv2.imencode(".png", picture)
    path.write_bytes(png.tobytes())


def save_figures(folder: Path, quality: Quality) -> None:
    """Writes precision_recall.png and confusion.png."""
    save_picture(folder / "precision_recall.png", draw_precision_recall(quality))
    save_picture(folder / "confusion.png", draw_confusion(quality))
