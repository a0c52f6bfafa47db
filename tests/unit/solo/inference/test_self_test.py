from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from solo.contract.instances import Instances
from solo.inference.engine import InferenceError
from solo.inference.output_checks import check_outputs
from solo.inference.self_test import OTHER_MODEL, SelfTest, run_self_test, self_test_image
from tests.support.engines import FakeEngine


def disc(row: float, radius: float = 8, score: float = 0.9, label: int = 0) -> Instances:
    rows, columns = np.indices((32, 32))
    mask = 255 * ((rows - row) ** 2 + (columns - 16) ** 2 < radius**2)
    return Instances(
        mask[None].astype(np.uint8), np.array([label], np.int64), np.array([score], np.float32)
    )


def test_the_self_test_image_has_two_dark_lungs_in_a_bright_chest() -> None:
    film = self_test_image((100, 80))
    assert film.shape == (100, 80)
    assert film.dtype == np.float32
    assert film.min() >= 0
    assert film.max() <= 1
    assert film[50, 24] < 0.4 < film[50, 40]
    np.testing.assert_allclose(film, film[:, ::-1], atol=1e-6)


def test_the_same_answer_passes_and_little_noise_too() -> None:
    self_test = SelfTest(FakeEngine(), disc(16))
    self_test.check(disc(16))
    self_test.check(disc(16.3, score=0.87))


@pytest.mark.parametrize(
    "found",
    [
        disc(16, score=0.5),
        disc(16, label=1),
        disc(22),
        Instances(np.zeros((0, 32, 32), np.uint8), np.zeros(0, np.int64), np.zeros(0, np.float32)),
    ],
    ids=["score", "label", "place", "nothing"],
)
def test_another_answer_does_not_pass_in_either_direction(found: Instances) -> None:
    for expected, given in ((disc(16), found), (found, disc(16))):
        with pytest.raises(InferenceError, match="otherwise"):
            SelfTest(FakeEngine(), expected).check(given)


def test_a_successor_may_be_better_but_not_blind() -> None:
    self_test = SelfTest(FakeEngine(), disc(16))
    self_test.check(disc(18, score=0.4), OTHER_MODEL)
    with pytest.raises(InferenceError):
        self_test.check(disc(26), OTHER_MODEL)


def test_an_engine_that_answers_by_batch_size_is_refused() -> None:
    class Fickle(FakeEngine):
        def run(self, images: npt.NDArray[np.float32]) -> list[Any]:
            return super().run(images if len(images) == 1 else 1 - images)

    SelfTest.record(FakeEngine())
    with pytest.raises(InferenceError, match="otherwise"):
        SelfTest.record(Fickle())


def test_flat_masks_tell_nothing() -> None:
    class Flat(FakeEngine):
        def run(self, images: npt.NDArray[np.float32]) -> list[Any]:
            return super().run(np.ones_like(images))

    assert len(run_self_test(Flat())) == 2
    with pytest.raises(InferenceError, match="one value"):
        SelfTest.record(Flat())


def outputs() -> dict[str, Any]:
    """Sound outputs for two images of two slots."""
    return {
        "images": np.stack([np.zeros((1, 8, 8)), np.ones((1, 8, 8))]).astype(np.float32),
        "scores": np.array([[0.9, 0], [0.8, 0.8]], np.float32),
        "labels": np.array([[1, -1], [0, 1]], np.int64),
        "masks": np.arange(2 * 2 * 4, dtype=np.uint8).reshape(2, 2, 2, 2),
        "out_of_distribution": np.array([0, 1e30], np.float32),
    }


def test_sound_outputs_pass() -> None:
    check_outputs(**outputs(), classes=2)
    check_outputs(**{**outputs(), "out_of_distribution": None}, classes=2)


@pytest.mark.parametrize(
    ("name", "place", "value", "text"),
    [
        ("scores", (0, 0), np.nan, "not finite"),
        ("scores", (1, 1), np.inf, "not finite"),
        ("scores", (0, 0), 1.5, "not falling"),
        ("scores", (1, 1), -0.1, "not falling"),
        ("scores", (1, 0), 0.5, "not falling"),
        ("labels", (0, 0), 2, "no name"),
        ("labels", (0, 1), -2, "no name"),
        ("labels", (0, 0), -1, "no instance"),
        ("labels", (0, 1), 0, "no instance"),
        ("out_of_distribution", (0,), np.nan, "negative or not finite"),
        ("out_of_distribution", (1,), np.inf, "negative or not finite"),
        ("out_of_distribution", (1,), -1e-6, "negative or not finite"),
    ],
)
def test_unsound_outputs_are_refused(
    name: str, place: tuple[int, ...], value: float, text: str
) -> None:
    found = outputs()
    found[name][place] = value
    with pytest.raises(InferenceError, match=text):
        check_outputs(**found, classes=2)


def test_one_answer_for_two_images_is_refused_unless_they_are_one() -> None:
    found = outputs()
    for name in ("scores", "labels", "masks"):
        found[name][1] = found[name][0]
    with pytest.raises(InferenceError, match="one answer"):
        check_outputs(**found, classes=2)
    found["images"][1] = found["images"][0]
    check_outputs(**found, classes=2)
