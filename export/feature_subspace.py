"""PCA residual: how far a film's features lie from the subspace that training films span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Folds = npt.NDArray[np.int64]

MOST_DIRECTIONS = 40
FOLDS = 5
_CONSTANT = 1e-5  # of a channel's magnitude: what varies less than that is rounding


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class Subspace:
    """Principal components of standardised features.

    Attributes:
        mean: float64 [D], of the features.
        scale: float64 [D], one over their standard deviation; 0 for those that do not vary.
        directions: float64 [D, k], orthonormal.
    """

    mean: Array
    scale: Array
    directions: Array

    @classmethod
    def fit(cls, features: Array, weights: Array, directions: int) -> Subspace:
        """Fits the subspace in which the films vary most.

        Args:
            features: float64 [n, D], means of channels and then their standard deviations.
            weights: float64 [n], how much each film counts.
            directions: k, at most n.
        """
        shares = weights / weights.sum()
        mean = shares @ features
        centred = features - mean
        deviation = np.sqrt(shares @ np.square(centred))
        magnitude = np.tile(np.hypot(*np.split(features, 2, axis=1)).max(0), 2)
        varies = deviation > _CONSTANT * magnitude
        scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
        rows = np.sqrt(shares)[:, None] * centred * scale
        components = np.linalg.svd(rows, full_matrices=False)[2]
        return cls(mean, scale, components[:directions].T)

    def residuals(self, features: Array) -> Array:
        """Mean square of what the directions leave over, float64 [n]."""
        standardised = (features - self.mean) * self.scale
        left = standardised - standardised @ self.directions @ self.directions.T
        return np.asarray(np.square(left).mean(1), np.float64)


@dataclass(frozen=True, eq=False)
class CrossValidated:
    """A subspace of all films, and for each fold one of the films of the other folds.

    Attributes:
        whole: of all films.
        without: fold by fold.
    """

    whole: Subspace
    without: tuple[Subspace, ...]

    @classmethod
    def fit(cls, features: Array, weights: Array, folds: Folds) -> CrossValidated:
        """Fits films, float64 [n, D], of the folds [n] from 0 to `FOLDS` - 1, none empty."""
        fewest = len(features) - int(np.bincount(folds).max())
        # As many directions as films or features leave nothing over.
        directions = min(MOST_DIRECTIONS, fewest // 2, features.shape[1] // 2)
        others = [folds != fold for fold in range(FOLDS)]
        return cls(
            Subspace.fit(features, weights, directions),
            tuple(Subspace.fit(features[o], weights[o], directions) for o in others),
        )

    def residuals(self, features: Array, folds: Folds) -> Array:
        """Of each film in the subspace that was fitted without its fold, float64 [n]."""
        residuals = np.empty(len(features))
        for fold, subspace in enumerate(self.without):
            residuals[folds == fold] = subspace.residuals(features[folds == fold])
        return residuals


def quantile(values: Array, weights: Array, part: float) -> float:
    """The least value that, with all below it, has this part of the weight."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) >= part * weights.sum() * (1 - 1e-12)
    return float(values[order][np.argmax(reached)])


def auroc(ordinary: Array, weights: Array, strange: Array, strange_weights: Array) -> float:
    """Area under the ROC curve: how often a strange film scores above an ordinary one."""
    order = np.argsort(ordinary)
    below = np.append(0, np.cumsum(weights[order])) / weights.sum()
    least = np.searchsorted(ordinary[order], strange, "left")
    most = np.searchsorted(ordinary[order], strange, "right")
    won = (below[least] + below[most]) / 2  # a tie is half a win
    return min(1.0, float(won @ strange_weights / strange_weights.sum()))  # but for rounding
