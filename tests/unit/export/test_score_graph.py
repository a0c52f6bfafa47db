"""The score in the graph: NumPy's, in any batch, for any features; and the graph without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from export.feature_subspace import Subspace
from export.score_graph import features_alone, score_alone, with_features, with_score
from export.score_graph import without_features as without
from solo.contract.manifest import OUT_OF_DISTRIBUTION_NAME, OUTPUT_NAMES
from tests.support.feature_graph import feature_graph

LIMIT = 0.3


def canvases(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, 1, 64, 64), np.float32)


def run(model: onnx.ModelProto, images: npt.NDArray[np.float32], *names: str) -> list[Any]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: list[Any] = session.run(names or None, {"images": images})
    return found


def names(model: onnx.ModelProto) -> list[str]:
    return [output.name for output in model.graph.output]


@pytest.fixture(scope="module")
def subspace() -> Subspace:
    (features,) = run(features_alone(feature_graph()), canvases(50))
    return Subspace.fit(features.astype(np.float64), np.ones(50), 6)


@pytest.fixture(scope="module")
def model(subspace: Subspace) -> onnx.ModelProto:
    return with_score(feature_graph(), subspace, LIMIT)


def test_the_graph_scores_as_numpy_does(model: onnx.ModelProto, subspace: Subspace) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert names(model) == [*OUTPUT_NAMES, OUT_OF_DISTRIBUTION_NAME]
    images = np.concatenate([canvases(3, seed=1), canvases(3, seed=2) * 0.2])
    (features,) = run(features_alone(feature_graph()), images)
    (scores,) = run(model, images, OUT_OF_DISTRIBUTION_NAME)
    assert (scores.dtype, scores.shape) == (np.float32, (6,))
    np.testing.assert_allclose(scores, subspace.residuals(features) / LIMIT, rtol=1e-4)
    np.testing.assert_array_equal(run(score_alone(model), images)[0], scores)


def test_a_score_does_not_depend_on_the_batch(model: onnx.ModelProto) -> None:
    images = canvases(5, seed=4)
    together = run(score_alone(model), images)[0]
    alone = [run(score_alone(model), image[None])[0][0] for image in images]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


@pytest.mark.parametrize("grey", [0.0, 1.0, 1e6, 1e18, 3e38, np.inf])
def test_whatever_is_far_out_has_a_high_score_and_no_infinite_one(
    grey: float, model: onnx.ModelProto
) -> None:
    images = np.full((2, 1, 64, 64), grey, np.float32)
    (scores,) = run(score_alone(model), images)
    assert np.isfinite(scores).all()
    assert (scores > 1).all()


def test_a_fit_can_be_made_anew(model: onnx.ModelProto, subspace: Subspace) -> None:
    again = with_features(model)
    assert names(again) == [*OUTPUT_NAMES, "features"]
    assert len(again.graph.node) == len(feature_graph().graph.node)
    other = with_score(again, subspace, 2 * LIMIT)
    onnx.checker.check_model(other, full_check=True)
    images = canvases(3, seed=5)
    (first,), (second,) = (run(score_alone(each), images) for each in (model, other))
    np.testing.assert_allclose(second, first / 2, rtol=1e-5)


def test_a_graph_without_a_score_works_out_no_features(model: onnx.ModelProto) -> None:
    for each in (feature_graph(), model):
        plain = without(each)
        assert names(plain) == list(OUTPUT_NAMES)
        assert "Concat" not in {node.op_type for node in plain.graph.node}
        assert not [t for t in plain.graph.initializer if OUT_OF_DISTRIBUTION_NAME in t.name]
