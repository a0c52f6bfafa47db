"""Films of rare classes come more often."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from model.configuration.recipe import Augmentation
from model.data.coco import Annotation, CocoDataset, ImageRecord
from model.data.dataset import TrainingStream
from model.data.repeats import draw_round, repeat_factors


def films(*labels: tuple[int, ...]) -> CocoDataset:
    """A film for each tuple, with objects of these labels."""
    return CocoDataset(
        ("common", "rare"),
        (1, 2),
        tuple(
            ImageRecord(
                number,
                Path(f"{number}.png"),
                10,
                10,
                str(number),
                tuple(Annotation(label, (), None, 1.0, False) for label in shown),
            )
            for number, shown in enumerate(labels)
        ),
    )


DATA = films((0, 1), *[(0,)] * 38, ())


def test_factors_are_those_of_the_paper_over_their_mean() -> None:
    factors = repeat_factors(DATA, 0.4)
    assert factors is not None
    # The rare class is on 1 of 40 films: sqrt(0.4 * 40) = 4; the common one on 39 of 40: 1.
    assert factors / factors[1] == pytest.approx([4, *[1] * 39])
    assert factors.mean() == pytest.approx(1)


def test_without_a_threshold_or_a_rare_class_all_are_alike() -> None:
    assert repeat_factors(DATA, 0) is None
    assert repeat_factors(DATA, 1 / 40) is None
    assert repeat_factors(films((), ()), 0.5) is None


def test_crowds_make_no_class_rarer_or_more_frequent() -> None:
    crowd = Annotation(1, (), None, 1.0, is_crowd=True)
    more = [ImageRecord(99, Path("99.png"), 10, 10, "99", (crowd,))]
    assert repeat_factors(films((0,), (0,)).subset((*films((0,)).images, *more)), 0.5) is None


def test_each_film_comes_its_factor_rounded_down_or_up() -> None:
    factors = repeat_factors(DATA, 0.4)
    assert factors is not None
    counts = np.zeros((400, 40))
    for turn in range(400):
        drawn = draw_round(factors, 40, np.random.default_rng((3, turn)))
        assert len(drawn) == 40
        counts[turn] = np.bincount(drawn, minlength=40)
        for film, factor in enumerate(factors):
            assert math.floor(factor) <= counts[turn, film] <= math.ceil(factor)
    assert counts.mean(0) == pytest.approx(factors, abs=0.12)


def test_the_stream_draws_by_seed_and_index_alone() -> None:
    rare = Augmentation(repeat_threshold=0.4)
    one, other = (TrainingStream(DATA, (64, 64), 400, 7, rare) for _ in range(2))
    order = [one.film(index).image_id for index in range(400)]
    assert [other.film(index).image_id for index in reversed(range(400))] == order[::-1]
    assert 30 <= Counter(order)[0] <= 40  # 4 / 1.075 in each of ten rounds
    plain = TrainingStream(DATA, (64, 64), 400, 7)
    assert Counter(plain.film(index).image_id for index in range(40)) == dict.fromkeys(range(40), 1)
