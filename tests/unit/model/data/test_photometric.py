"""Every change of grey values gives a film again and leaves its input alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data import photometric
from model.data.photometric import CHANGES, Change, GreyImage, change_grey_values
from tests.support.coco_folder import disc_film

changes = pytest.mark.parametrize(
    "change", [change for change, _ in CHANGES], ids=lambda change: change.__name__
)


def textured(height: int, width: int) -> GreyImage:
    noise = np.random.default_rng(1).normal(0, 12, (height, width))
    film = disc_film((width / 2, height / 2), min(height, width) / 3, (height, width))
    return np.clip(film * 0.7 + 30 + noise, 0, 255).astype(np.uint8)


@changes
@pytest.mark.parametrize("size", [(32, 32), (64, 96), (160, 64)])
def test_a_change_gives_a_film_and_does_not_write_into_its_input(
    change: Change, size: tuple[int, int]
) -> None:
    film = textured(*size)
    film.flags.writeable = False
    before = film.copy()
    seen = [change(film, np.random.default_rng(seed)) for seed in range(25)]
    for changed in seen:
        assert changed.dtype == np.uint8
        assert changed.shape == size
    assert any((changed != film).any() for changed in seen)
    np.testing.assert_array_equal(film, before)


@changes
def test_a_change_depends_on_its_generator_alone(change: Change) -> None:
    film = textured(64, 96)
    one, other = (change(film, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@changes
@pytest.mark.parametrize("grey", [0, 255])
def test_a_black_or_white_film_does_not_wrap_round(change: Change, grey: int) -> None:
    film = np.full((64, 64), grey, np.uint8)
    for seed in range(10):
        changed = change(film, np.random.default_rng(seed)).astype(int)
        touched = abs(changed - grey) > 128
        if change not in (photometric.invert, photometric.equalise):
            # Things in the beam are small; everything else moves a film less than half-way.
            assert touched.mean() < 0.5


@given(st.integers(0, 1000))
@settings(max_examples=30)
def test_curves_never_swap_two_greys(seed: int) -> None:
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(2, 0)
    for curve in (photometric.gamma, photometric.contrast):
        found = curve(ramp, np.random.default_rng(seed))[0].astype(int)
        assert (np.diff(found) >= 0).all()
    inverted = photometric.invert(ramp, np.random.default_rng(seed))[0]
    assert inverted.tolist() == list(range(255, -1, -1))


def test_a_cloud_only_brightens_and_a_patch_is_of_one_grey() -> None:
    film = textured(96, 96)
    for seed in range(10):
        cloudy = photometric.opacity(film, np.random.default_rng(seed)).astype(int)
        assert (cloudy - film >= -1).all()  # grey values are cut, not rounded
        patched = photometric.cut_out(film, np.random.default_rng(seed))
        rows, columns = np.nonzero(patched != film)
        patch = patched[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert len(np.unique(patch)) == 1
        assert patch.size < 0.05 * film.size


def test_noise_is_as_strong_as_it_says() -> None:
    flat: npt.NDArray[np.uint8] = np.full((128, 128), 128, np.uint8)
    spreads = [photometric.noise(flat, np.random.default_rng(seed)).std() for seed in range(20)]
    assert min(spreads) > 1.9
    assert max(spreads) < 14.5


def test_changes_come_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [0, 0]

    def count(index: int) -> Change:
        def change(film: GreyImage, rng: np.random.Generator) -> GreyImage:
            counts[index] += 1
            return film

        return change

    monkeypatch.setattr(photometric, "CHANGES", ((count(0), 0.25), (count(1), 1.0)))
    rng = np.random.default_rng(0)
    film = textured(32, 32)
    for _ in range(1000):
        assert change_grey_values(film, rng) is film
    assert 200 < counts[0] < 300
    assert counts[1] == 1000


def test_all_probabilities_are_probabilities() -> None:
    assert all(0 < probability < 1 for _, probability in CHANGES)
    assert len({change for change, _ in CHANGES}) == len(CHANGES)
