"""Objects pasted from one film to another: absorbers add."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.configuration.recipe import Augmentation
from model.data.coco import CocoDataset, load_coco
from model.data.copy_paste import GreyImage, Placed
from model.data.copy_paste import paste as paste_placed
from model.data.dataset import TrainingStream
from tests.support.coco_folder import disc_film, disc_folder

SIZE = (64, 64)
WHOLE = np.full(SIZE, 255, np.uint8)


def flat(grey: int) -> GreyImage:
    return np.full(SIZE, grey, np.uint8)


def disc(centre: tuple[float, float] = (30, 34), radius: float = 9) -> GreyImage:
    """The coverage of a disc, 0 or 255."""
    return np.where(disc_film(centre, radius, SIZE) > 100, 255, 0).astype(np.uint8)


def paste(
    film: GreyImage, source: GreyImage, shown: GreyImage, masks: list[GreyImage]
) -> GreyImage:
    stacked = np.stack(masks) if masks else np.empty((0, *SIZE), np.uint8)
    return paste_placed(Placed(film, WHOLE), Placed(source, shown), stacked)[0]


@given(st.integers(60, 120), st.integers(0, 120), st.integers(-60, 60))
def test_what_an_object_adds_is_added(target: int, background: int, added: int) -> None:
    inside = disc() > 0
    source = np.clip(background + added * inside, 0, 255).astype(np.uint8)
    pasted = paste(flat(target), source, WHOLE, [disc()])
    really = int(source[34, 30]) - background
    expected = np.clip(target + really * inside, 0, 255)
    assert np.abs(pasted.astype(int) - expected).max() <= 1


def test_two_absorbers_over_each_other_add_up() -> None:
    source = np.where(disc() > 0, 90, 40).astype(np.uint8)
    once = paste(flat(60), source, WHOLE, [disc()])
    assert paste(once, source, WHOLE, [disc()])[34, 30] == pytest.approx(160, abs=1)


def test_the_structure_behind_stays_visible() -> None:
    behind = np.tile(np.arange(64, dtype=np.uint8) * 2, (64, 1))
    source = np.where(disc() > 0, 80, 50).astype(np.uint8)
    pasted = paste(behind, source, WHOLE, [disc()]).astype(int)
    assert np.diff(pasted[34, 24:37]).tolist() == [2] * 12


def test_slow_shading_of_the_source_is_not_pasted() -> None:
    slope = np.tile(np.arange(64, dtype=np.float32) + 50, (64, 1))
    source = (slope + 30 * (disc() > 0)).astype(np.uint8)
    added = paste(flat(100), source, WHOLE, [disc()]).astype(int) - 100
    assert np.abs(added[disc() > 0] - 30).max() <= 10  # of 18 that the slope rises across it
    assert np.mean(added[disc() > 0]) == pytest.approx(30, abs=1)
    assert not added[disc() == 0].any()


def test_what_is_around_the_source_is_no_surroundings() -> None:
    shown = WHOLE.copy()
    shown[:, :24] = 0
    source = np.where(shown > 0, 50, 0).astype(np.uint8)
    source[disc() > 0] = 80
    added = paste(flat(100), source, shown, [disc()]).astype(int) - 100
    assert np.abs(added[disc() > 0] - 30).max() <= 1


def test_nothing_pasted_changes_nothing_nor_does_an_object_without_surroundings() -> None:
    film = disc_film((20, 20), 10, SIZE)
    assert np.array_equal(paste(film, flat(3), WHOLE, []), film)
    assert np.array_equal(paste(film, flat(200), WHOLE, [WHOLE]), film)


def test_what_would_not_be_seen_is_not_pasted() -> None:
    source = np.where(disc() > 0, 90, 40).astype(np.uint8)
    beside = WHOLE.copy()
    beside[:, :32] = 0  # the disc is at x 21 to 39: most of it is outside of this film
    for film in (Placed(flat(250), WHOLE), Placed(flat(60), beside)):
        grey, masks, chosen = paste_placed(film, Placed(source, WHOLE), disc()[None])
        assert np.array_equal(grey, film.grey)
        assert masks.shape == (0, *SIZE)
        assert chosen.tolist() == [False]


def test_the_film_cuts_what_reaches_out_of_it() -> None:
    source = np.where(disc() > 0, 90, 40).astype(np.uint8)
    shown = WHOLE.copy()
    shown[:, :28] = 0
    grey, masks, chosen = paste_placed(Placed(flat(60), shown), Placed(source, WHOLE), disc()[None])
    assert chosen.tolist() == [True]
    assert not masks[0, :, :28].any()
    assert (grey[:, :28] == 60).all()
    assert np.array_equal(grey[:, 28:] > 80, masks[0, :, 28:] > 0)


@pytest.fixture
def discs(tmp_path: Path) -> CocoDataset:
    return load_coco(disc_folder(tmp_path / "discs", 4, empty=(2,)))


def test_samples_have_the_objects_of_their_film_and_pasted_ones_after_them(
    discs: CocoDataset,
) -> None:
    plain = TrainingStream(discs, SIZE, 40, 3, Augmentation(grey_values=False))
    always = Augmentation(grey_values=False, copy_paste=1)
    stream = TrainingStream(discs, SIZE, 40, 3, always)
    more = 0
    for index in range(40):
        (before, objects), (after, found) = plain[index], stream[index]
        count = len(objects.labels)
        assert torch.equal(found.masks[:count], objects.masks)
        assert torch.equal(found.labels[:count], objects.labels)
        pasted = (found.masks[count:] > 0).any(0)
        assert torch.equal(before[0][~pasted], after[0][~pasted])
        brighter = (found.masks[count:] == 255).any(0)
        assert (after[0][brighter] >= before[0][brighter]).all()
        more += len(found.labels) - count
    assert 5 <= more <= 25  # half of the objects of films of which three in four have one


def test_pasting_depends_on_seed_and_index_alone_and_happens_as_often_as_asked(
    discs: CocoDataset,
) -> None:
    some = Augmentation(grey_values=False, copy_paste=0.25)
    one, other = (TrainingStream(discs, SIZE, 80, 5, some) for _ in range(2))
    plain = TrainingStream(discs, SIZE, 80, 5, Augmentation(grey_values=False))
    images = [one[index][0] for index in range(80)]
    assert all(torch.equal(other[index][0], images[index]) for index in (79, 3, 40))
    changed = sum(not torch.equal(plain[index][0], images[index]) for index in range(80))
    assert 2 <= changed <= 20
