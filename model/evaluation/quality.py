"""Summary metrics of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.coco import CocoDataset
from model.evaluation.average_precision import AveragePrecision, Number
from model.evaluation.calibration import ScoreBin, calibrate
from model.evaluation.confusion import Matrix
from model.evaluation.images import ImageQuality
from model.evaluation.threshold import ProposedThreshold, ScoredMatches

_SQUARE = 0.01  # sides of a pixel that differ by less are equal


@dataclass(frozen=True)
class ClassQuality:
    """Metrics of one class: AP and AP50, mean Dice of its objects, and their number."""

    ap: Number
    ap50: Number
    dice: Number
    objects: int


@dataclass(frozen=True)
class BoundaryQuality:
    """Mean boundary distances over the objects found at a Dice of 2/3 or more.

    Attributes:
        objects: how many those are.
        mean_px: mean distance of the outlines.
        hausdorff95_px: their 95th percentile Hausdorff distance.
        measured_mm: objects among them on films whose square pixels have a known size.
        mean_mm: as above, over these, at the plane for which the size holds.
        hausdorff95_mm: as above.
    """

    objects: int
    mean_px: Number
    hausdorff95_px: Number
    measured_mm: int
    mean_mm: Number
    hausdorff95_mm: Number


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class Quality:
    """All metrics of an evaluation; None stands where there is nothing to measure.

    Attributes:
        films: how many.
        objects: annotated, crowds not counted.
        ap: `ap`, `ap50`, `ap75`, `ap_small`, `ap_medium`, `ap_large` (COCO, mask IoU).
        dice: mean over annotated objects of the best instance of the same class, 0 for an object
            that was not found.
        right_count: part of films with as many instances as were annotated.
        score_threshold: the one that Dice and counts are told at.
        classes: by name.
        boundary: how far outlines are apart.
        calibration_error: of the scores, at IoU 0.5.
        calibration: its bins.
        proposed: the score threshold that is proposed, None where no instance is right.
        confusion: int64 [C + 1, C + 1] at that threshold, or at `score_threshold` without one: see
            `model.evaluation.confusion`.
        curves: float64 [2, C, 101], precision over recall: see `AveragePrecision`.
    """

    films: int
    objects: int
    ap: dict[str, Number]
    dice: Number
    right_count: Number
    score_threshold: float
    classes: dict[str, ClassQuality]
    boundary: BoundaryQuality
    calibration_error: Number
    calibration: tuple[ScoreBin, ...]
    proposed: ProposedThreshold | None
    confusion: Matrix
    curves: npt.NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the headline figures first."""
        return {
            **self.ap,
            "dice": self.dice,
            "right_count": self.right_count,
            "score_threshold": self.score_threshold,
            "films": self.films,
            "objects": self.objects,
            "classes": {name: asdict(quality) for name, quality in self.classes.items()},
            "boundary": asdict(self.boundary),
            "calibration": {
                "expected_error": self.calibration_error,
                "bins": [asdict(item) for item in self.calibration],
            },
            "proposed": None if self.proposed is None else asdict(self.proposed),
            "confusion": {
                "classes": [*self.classes, "nothing"],
                "annotated_by_found": self.confusion.tolist(),
            },
        }


def summarise(
    data: CocoDataset,
    films: Sequence[ImageQuality],
    precision: AveragePrecision,
    matches: ScoredMatches,
    proposed: ProposedThreshold | None,
    confusion: Matrix,
    score_threshold: float,
) -> Quality:
    """Summarises the films' qualities.

    Args:
        data: all films that were evaluated.
        films: the quality of each.
        precision: of all.
        matches: of all.
        proposed: the threshold that they propose.
        confusion: at that threshold.
        score_threshold: that the films were judged at.
    """
    error, bins = calibrate(matches.scores, matches.right)
    objects = [item for film in films for item in film.objects]
    return Quality(
        films=len(films),
        objects=len(objects),
        ap=precision.overall,
        dice=_mean([item.dice for item in objects]),
        right_count=_mean([float(film.has_right_count) for film in films]),
        score_threshold=score_threshold,
        classes=_classes(data, films, precision),
        boundary=_boundary(films),
        calibration_error=error,
        calibration=bins,
        proposed=proposed,
        confusion=confusion,
        curves=precision.curves,
    )


def _classes(
    data: CocoDataset, films: Sequence[ImageQuality], precision: AveragePrecision
) -> dict[str, ClassQuality]:
    dices: list[list[float]] = [[] for _ in data.class_names]
    for film in films:
        for item in film.objects:
            dices[item.label].append(item.dice)
    return {
        name: ClassQuality(ap, ap50, _mean(own), len(own))
        for name, (ap, ap50), own in zip(data.class_names, precision.classes, dices, strict=True)
    }


def _boundary(films: Sequence[ImageQuality]) -> BoundaryQuality:
    pixels, millimetres = [], []
    for film in films:
        pixel_mm = _square_pixel_mm(film.record.spacing_mm)
        for item in film.objects:
            if item.boundary is None:
                continue
            pair = (item.boundary.mean, item.boundary.hausdorff95)
            pixels.append(pair)
            if pixel_mm is not None:
                millimetres.append((pair[0] * pixel_mm, pair[1] * pixel_mm))
    return BoundaryQuality(
        objects=len(pixels),
        mean_px=_mean([mean for mean, _ in pixels]),
        hausdorff95_px=_mean([far for _, far in pixels]),
        measured_mm=len(millimetres),
        mean_mm=_mean([mean for mean, _ in millimetres]),
        hausdorff95_mm=_mean([far for _, far in millimetres]),
    )


def _square_pixel_mm(spacing_mm: tuple[float, float] | None) -> float | None:
    if spacing_mm is None or abs(spacing_mm[0] / spacing_mm[1] - 1) > _SQUARE:
        return None
    return sum(spacing_mm) / 2


def _mean(values: Sequence[float]) -> Number:
    return float(np.mean(values)) if values else None
