"""Beer and Lambert, scatter, noise and the tone curve."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from datasets.phantom.exposure import WHITE, Exposure, blur, develop, expose
from datasets.phantom.radiograph import Image

CLEAN = Exposure(photons=1e8, scatter=0.0, blur_pixels=0.3, detail=0.0, equalise=0.0)
OPEN = np.ones((60, 80), np.bool_)


def steps() -> Image:
    """Four bands of absorption 1, 1.5, 2, 2.5."""
    return np.repeat(np.array([1, 1.5, 2, 2.5], np.float32), 20)[None].repeat(60, 0)


def test_what_passes_is_the_exponential_of_what_absorbs() -> None:
    signal = expose(steps(), OPEN, 0.5, CLEAN, np.random.default_rng(0))
    expected = 0.002 + np.exp(-steps())  # a little leaks in everywhere
    np.testing.assert_allclose(signal[:, 10::20], expected[:, 10::20], rtol=5e-3)


def test_noise_is_that_of_the_photons() -> None:
    flat = np.ones((200, 200), np.float32)
    exposure = replace(CLEAN, photons=1000.0)
    field = np.ones_like(flat, np.bool_)
    signal = expose(flat, field, 0.5, exposure, np.random.default_rng(0))
    counts = 1000 * (np.exp(-1) + 0.002)
    assert signal.mean() == pytest.approx((counts + 1) / 1000, rel=2e-3)
    assert signal.std() == pytest.approx(np.sqrt(counts) / 1000, rel=0.03)


def test_scatter_lowers_contrast() -> None:
    def contrast(scatter: float) -> float:
        exposure = replace(CLEAN, scatter=scatter)
        signal = expose(steps(), OPEN, 0.5, exposure, np.random.default_rng(0))
        return float(signal[:, :20].mean() / signal[:, 60:].mean())

    assert contrast(0.0) > 1.2 * contrast(0.3) > 1.2


def test_a_film_is_brighter_where_more_absorbs_and_black_beyond_the_collimator() -> None:
    field = OPEN.copy()
    field[:, :5] = False
    signal = expose(steps(), field, 0.5, CLEAN, np.random.default_rng(0))
    film = develop(signal, field, 0.5, CLEAN)
    assert film.dtype == np.uint16
    assert not film[:, :5].any()
    bands = [int(film[30, column]) for column in (10, 30, 50, 70)]
    assert bands == sorted(set(bands))
    assert (bands[0], bands[-1]) == pytest.approx((0, WHITE), abs=40)  # the whole range is used


def test_a_film_of_nothing_is_developed() -> None:
    nowhere = np.zeros((20, 20), np.bool_)
    signal = expose(np.zeros((20, 20), np.float32), nowhere, 0.5, CLEAN, np.random.default_rng(0))
    assert not develop(signal, nowhere, 0.5, CLEAN).any()


@pytest.mark.parametrize("sigma", [3.0, 20.0, 70.0])
def test_a_wide_blur_is_a_gaussian(sigma: float) -> None:
    edge = np.zeros((10, 600), np.float32)
    edge[:, 300:] = 1
    column = 300 + round(sigma)
    normal = (1 + math.erf((column + 0.5 - 300) / sigma / math.sqrt(2))) / 2
    assert blur(edge, sigma)[5, column] == pytest.approx(normal, abs=0.01)
