"""Out-of-distribution score, fitted to films like those that the network was trained on.

The last backbone map is pooled to the mean and standard deviation of each channel. The score is the
residual of these features outside the subspace in which the films' own vary most, over a limit: the
residual that few of the films exceed where their patient is left out of the fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from tqdm import tqdm

from export.feature_subspace import FOLDS, Array, CrossValidated, auroc, quantile
from export.films import STRANGE, Canvas, Films, place
from export.score_graph import features_alone, with_score, without_features
from model.data.coco import CocoDataset, ImageRecord
from model.data.radiograph import read_radiograph
from solo.contract.greyscale import Grey
from solo.contract.manifest import INPUT_NAME, OutOfDistributionFit

FEWEST_PATIENTS = 40
_MOST_FILMS = 2000  # of a data set: more do not change the fit
_MOST_STRANGE = 200
_LIMIT_AT = 0.98  # of the films held out: at .99 one or two adults would set it
# Films that the network was trained on lie closer together than those of other places.
_MARGIN = 1.15
_LEAST_RESIDUAL = 1e-6  # a smaller median is the rounding of films that are all alike


class FilmReader:
    """Runs films through a graph of one output in ONNX Runtime.

    Args:
        part: such as `features_alone` of a model.
    """

    def __init__(self, part: onnx.ModelProto) -> None:
        self._session = onnxruntime.InferenceSession(
            part.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        height, width = self._session.get_inputs()[0].shape[2:]
        self.canvas_size = int(height), int(width)

    def canvas(self, canvas: Canvas) -> Array:
        """The answer for a canvas, float32 [H, W]: float64, such as features [D]."""
        (answers,) = self._session.run(None, {INPUT_NAME: canvas[None, None]})
        return np.asarray(answers[0], np.float64)

    def films(
        self, records: Sequence[ImageRecord], change: Callable[[Grey], Grey] | None = None
    ) -> Array:
        """The answers for films, float64 [n, ...], each changed before it is letterboxed.

        Raises:
            ValueError: if they are no finite numbers.
        """
        answers = np.stack(list(self._films(records, change)))
        if not np.isfinite(answers).all():
            raise ValueError(
                "the network's features of these films are no finite numbers: its weights are "
                "damaged, or its values do not fit into this precision"
            )
        return answers

    def _films(
        self, records: Sequence[ImageRecord], change: Callable[[Grey], Grey] | None
    ) -> Iterator[Array]:
        for record in tqdm(records, desc="reading films", unit="film", leave=False, disable=None):
            film = read_radiograph(record)
            yield self.canvas(place(change(film) if change else film, self.canvas_size))


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class Fit:
    """Cross-validated subspace with the limit of its residuals.

    Attributes:
        subspaces: of all films, and without each fold.
        limit: a film whose residual is above it is flagged; 0 where most films are alike.
        scores: float64 [n], residuals of the films without their folds, over the limit if there is
            one.
    """

    subspaces: CrossValidated
    limit: float
    scores: Array

    @classmethod
    def of(cls, features: Array, films: Films) -> Fit:
        """Fits films by their features, float64 [n, D]."""
        subspaces = CrossValidated.fit(features, films.weights, films.folds)
        residuals = subspaces.residuals(features, films.folds)
        limit = _MARGIN * quantile(residuals, films.weights, _LIMIT_AT)
        if quantile(residuals, films.weights, 0.5) < _LEAST_RESIDUAL:
            return cls(subspaces, 0.0, residuals)
        return cls(subspaces, limit, residuals / limit)


def fit_score(
    model: onnx.ModelProto, data: Sequence[CocoDataset]
) -> tuple[onnx.ModelProto, OutOfDistributionFit | None]:
    """Replaces a graph's output `features` by its out-of-distribution score.

    Args:
        model: the graph.
        data: films like those that it will answer for.

    Returns:
        The graph, and what the manifest says of its score; without a score and None where the films
        are of fewer than `FEWEST_PATIENTS` or most are all alike.
    """
    films = Films.of(data, FOLDS, _MOST_FILMS)
    if films.patients < FEWEST_PATIENTS:
        return without_features(model), None
    reader = FilmReader(features_alone(model))
    fit = Fit.of(reader.films(films.records), films)
    if not fit.limit:
        return without_features(model), None
    strange = films.fewer(_MOST_STRANGE)
    found = {}
    for kind, change in STRANGE.items():
        features = reader.films(strange.records, change)
        residuals = fit.subspaces.residuals(features, strange.folds)
        scores = residuals / fit.limit
        found[kind] = round(auroc(fit.scores, films.weights, scores, strange.weights), 4)
    entry = OutOfDistributionFit(
        films=len(films.records),
        patients=films.patients,
        limit=fit.limit,
        median_score=quantile(fit.scores, films.weights, 0.5),
        auroc=found,
    )
    return with_score(model, fit.subspaces.whole, fit.limit), entry


def describe(entry: OutOfDistributionFit | None, data: Sequence[CocoDataset]) -> str:
    """A sentence for who exports: how well the score tells films apart, or why there is none."""
    if entry is None:
        patients = Films.of(data, FOLDS, _MOST_FILMS).patients
        return "no out-of-distribution output: " + (
            "these films hardly differ"
            if patients >= FEWEST_PATIENTS
            else f"it takes films of {FEWEST_PATIENTS} patients, and these are of {patients}"
        )
    kinds = ", ".join(
        f"{kind.replace('_', ' ')} {value:.3f}" for kind, value in entry.auroc.items()
    )
    return (
        f"out-of-distribution output fitted on {entry.films} films of {entry.patients} patients, "
        f"whose median score is {entry.median_score:.2f}; AUROC against films made of them: {kinds}"
    )
