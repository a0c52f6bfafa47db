"""PCA residuals, quantiles and AUROC against what they are by definition."""

from __future__ import annotations

import numpy as np
import pytest

from export.feature_subspace import FOLDS, Array, CrossValidated, Subspace, auroc, quantile


def films(count: int, seed: int = 0) -> Array:
    """Features in three directions of twelve, and a little beside them."""
    rng = np.random.default_rng(seed)
    spread = np.random.default_rng(99).normal(size=(3, 12))
    return rng.normal(size=(count, 3)) @ spread + 5 + 0.01 * rng.normal(size=(count, 12))


def test_a_residual_is_what_principal_components_leave_over() -> None:
    features = films(30)
    found = Subspace.fit(features, np.ones(30), 2)
    standardised = (features - features.mean(0)) / features.std(0)
    variances, axes = np.linalg.eigh(np.cov(standardised.T, bias=True))
    left = standardised @ axes[:, :-2]  # all but the two largest
    np.testing.assert_allclose(found.residuals(features), np.square(left).sum(1) / 12)
    np.testing.assert_allclose(found.residuals(features).mean(), variances[:-2].sum() / 12)


def test_films_like_the_others_lie_near_and_others_far() -> None:
    found = Subspace.fit(films(30), np.ones(30), 3)
    strange = films(5, seed=1)[:, ::-1]
    assert found.residuals(films(20, seed=1)).max() < 0.01 * found.residuals(strange).min()


def test_a_weight_of_two_is_a_film_twice() -> None:
    features = films(20)
    weighted = Subspace.fit(features, np.where(np.arange(20) < 5, 2.0, 1.0), 2)
    twice = Subspace.fit(np.concatenate([features, features[:5]]), np.ones(25), 2)
    others = films(6, seed=2)
    np.testing.assert_allclose(weighted.residuals(others), twice.residuals(others))


def test_features_that_do_not_vary_count_for_nothing() -> None:
    rng = np.random.default_rng(0)
    features = films(30)
    features[:, 2] = features[:, 8] = 0  # a channel that is dead
    features[:, 3], features[:, 9] = (
        7,
        1e-7 * rng.random(30),
    )  # constant but for rounding
    found = Subspace.fit(features, np.ones(30), 2)
    strange = films(4, seed=3)
    moved = strange.copy()
    moved[:, [2, 3, 8, 9]] += 100
    assert np.isfinite(found.residuals(moved)).all()
    np.testing.assert_array_equal(found.residuals(moved), found.residuals(strange))


def test_each_film_is_judged_without_its_fold() -> None:
    features, folds = films(40), np.arange(40) % FOLDS
    weights = np.linspace(1, 2, 40)
    found = CrossValidated.fit(features, weights, folds)
    for fold in range(FOLDS):
        others = folds != fold
        alone = Subspace.fit(features[others], weights[others], 6)  # half of 12 features
        np.testing.assert_allclose(
            found.residuals(features, folds)[~others],
            alone.residuals(features[~others]),
            atol=1e-12,
        )


@pytest.mark.parametrize(
    ("weights", "part", "expected"),
    [
        ([1, 1, 1, 1], 0.5, 2),
        ([1, 1, 1, 1], 0.51, 3),
        ([1, 1, 1, 1], 0.99, 4),
        ([0.1, 0.1, 0.1, 0.7], 0.2, 2),
        ([0.1, 0.1, 0.1, 0.7], 0.31, 4),
        ([8, 1, 1, 0], 0.5, 1),
    ],
)
def test_a_quantile_is_the_least_value_with_so_much_weight(
    weights: list[float], part: float, expected: float
) -> None:
    order = [2, 0, 3, 1]
    values = np.array([1.0, 2, 3, 4])[order]
    assert quantile(values, np.array(weights, np.float64)[order], part) == expected


def test_auroc_is_how_often_the_strange_film_scores_higher() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 9, 30).astype(float), rng.integers(3, 12, 20).astype(float)
    weights, strange_weights = rng.random(30), rng.random(20)
    won = (other[:, None] > one) + 0.5 * (other[:, None] == one)
    pairs = strange_weights[:, None] * weights
    expected = (won * pairs).sum() / pairs.sum()
    assert auroc(one, weights, other, strange_weights) == pytest.approx(expected)
    assert auroc(one, weights, one + 100, weights) == 1
    assert auroc(one, weights, one - 100, weights) == 0
