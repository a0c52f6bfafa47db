"""Evaluation report as a folder: JSON metrics, Markdown tables, curves and the worst films."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from model.data.coco import CocoDataset
from model.evaluation.average_precision import Number
from model.evaluation.figures import save_figures, save_picture
from model.evaluation.images import ImageQuality
from model.evaluation.pictures import draw_image
from model.evaluation.quality import Quality


def write_report(
    folder: Path, data: CocoDataset, quality: Quality, films: Sequence[ImageQuality], worst: int
) -> None:
    """Writes metrics.json, report.md, precision_recall.png, confusion.png and worst-*.png.

    Args:
        folder: made if it is not there.
        data: whose class names stand in the pictures.
        quality: the figures.
        films: the quality of each film.
        worst: how many of them to draw.

    Raises:
        FileExistsError: if there is anything in the folder.
    """
    refuse_to_overwrite(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_metrics(folder / "metrics.json", quality)
    save_figures(folder, quality)
    names = draw_worst(folder, data, films, worst)
    (folder / "report.md").write_text(as_markdown(quality, names), encoding="utf-8")


def write_metrics(path: Path, quality: Quality) -> None:
    """Writes all figures as JSON."""
    text = json.dumps(quality.to_dict(), indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def draw_worst(
    folder: Path, data: CocoDataset, films: Sequence[ImageQuality], worst: int
) -> list[tuple[str, ImageQuality]]:
    """Draws so many films, the worst first; returns each picture's name and its film."""
    chosen = sorted(films, key=lambda film: film.worth)[:worst]
    names = [(f"worst-{place:02d}.png", film) for place, film in enumerate(chosen, start=1)]
    for name, film in names:
        save_picture(folder / name, draw_image(film, data.class_names))
    return names


def refuse_to_overwrite(folder: Path) -> None:
    """Raises FileExistsError if there is anything at a path but an empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not empty: nothing is overwritten, name another folder")


def as_markdown(quality: Quality, pictures: Sequence[tuple[str, ImageQuality]] = ()) -> str:
    """The figures as tables, and the pictures below them."""
    blocks = [
        f"# Quality on {quality.films} films with {quality.objects} objects",
        _table(["figure", "value"], [[name, _show(value)] for name, value in _headline(quality)]),
        _table(
            ["class", "objects", "AP", "AP50", "Dice"],
            [
                [name, str(own.objects), _show(own.ap), _show(own.ap50), _show(own.dice)]
                for name, own in quality.classes.items()
            ],
        ),
        *_describe_threshold(quality),
        "![Precision over recall](precision_recall.png)",
        "![Confusion of classes](confusion.png)",
        "Scores: of instances that score so much, the part that is right at an IoU of 0.5.",
        _table(
            ["score", "instances", "mean score", "right"],
            [
                [
                    f"{b.low:.1f} to {b.high:.1f}",
                    str(b.count),
                    _show(b.mean_score),
                    _show(b.precision),
                ]
                for b in quality.calibration
                if b.count
            ],
        ),
    ]
    if pictures:
        blocks.append("The worst films: objects in green, instances in red, with their scores.")
    for name, film in pictures:
        blocks.append(f"![Image {film.record.image_id}: quality {film.worth:.3f}]({name})")
    return "\n\n".join(blocks) + "\n"


def _describe_threshold(quality: Quality) -> list[str]:
    proposed = quality.proposed
    if proposed is None:
        return ["No score threshold is proposed: no instance is right at an IoU of 0.5."]
    return [
        f"Proposed score threshold: **{proposed.score_threshold:.2f}**, where the mean F1 score of "
        "the classes at an IoU of 0.5 is best, in the middle of those that are as good.",
        _table(
            [f"class, scores from {proposed.score_threshold:.2f} on", "precision", "recall", "F1"],
            [
                *(
                    [name, _show(own.precision), _show(own.recall), _show(own.f1)]
                    for name, own in proposed.classes.items()
                ),
                ["mean", _show(proposed.precision), _show(proposed.recall), _show(proposed.f1)],
            ],
        ),
    ]


def _headline(quality: Quality) -> list[tuple[str, Number]]:
    boundary = quality.boundary
    return [
        ("AP", quality.ap["ap"]),
        ("AP50", quality.ap["ap50"]),
        ("AP75", quality.ap["ap75"]),
        ("AP, below 32 x 32 pixels", quality.ap["ap_small"]),
        ("AP, below 96 x 96 pixels", quality.ap["ap_medium"]),
        ("AP, larger", quality.ap["ap_large"]),
        (f"Dice, scores from {quality.score_threshold:.2f} on", quality.dice),
        ("films with the right count, the same", quality.right_count),
        (f"outlines apart, pixels (of {boundary.objects} found)", boundary.mean_px),
        ("Hausdorff 95 %, pixels", boundary.hausdorff95_px),
        (f"outlines apart, mm (of {boundary.measured_mm})", boundary.mean_mm),
        ("Hausdorff 95 %, mm", boundary.hausdorff95_mm),
        ("expected calibration error", quality.calibration_error),
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _show(value: Number) -> str:
    return "-" if value is None else f"{value:.3f}"
