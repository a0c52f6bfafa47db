"""The toy tasks of CoordConv: their pictures, their splits, and that coordinates decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import torch
from torch import Tensor

from experiments.coord_conv.__main__ import main
from experiments.coord_conv.learning import teach
from experiments.coord_conv.networks import (
    CoordinateDrawer,
    CoordinateReader,
    coordinate_network,
    plain_network,
)
from experiments.coord_conv.tasks import (
    SplitName,
    Task,
    all_places,
    all_tasks,
    normalised,
    pixels,
    split,
    square_side,
    squares,
)

SIDE = 16
CLASSIFICATION, RENDERING, REGRESSION = all_tasks(SIDE)


def test_the_papers_canvas_has_its_squares_and_places() -> None:
    assert square_side(64) == 9
    assert len(all_places(64)) == 56**2


def test_a_square_lies_around_its_place() -> None:
    picture = squares(torch.tensor([[3, 9]]), SIDE)[0, 0]
    assert picture.nonzero().tolist() == [[r, c] for r in (2, 3, 4) for c in (8, 9, 10)]
    assert pixels(torch.tensor([[3, 9]]), SIDE)[0, 0].nonzero().tolist() == [[3, 9]]


@pytest.mark.parametrize("name", ["uniform", "quadrant"])
def test_a_split_divides_all_places(name: SplitName) -> None:
    places = all_places(SIDE)
    taught, held_out = split(places, SIDE, name, seed=3)
    both = sorted(torch.cat([taught, held_out]).tolist())
    assert both == places.tolist()
    assert 0.1 < len(held_out) / len(places) < 0.35


def test_no_place_of_the_quadrant_is_taught() -> None:
    taught, held_out = split(all_places(SIDE), SIDE, "quadrant", seed=0)
    assert (held_out >= 8).all()
    assert (taught < 8).any(1).all()


def test_scores_of_right_and_wrong_answers() -> None:
    places = torch.tensor([[3, 9], [12, 5]])
    beside = places + torch.tensor([0, 1])
    assert CLASSIFICATION.score(pixels(places, SIDE), places).tolist() == [1, 1]
    assert CLASSIFICATION.score(pixels(beside, SIDE), places).tolist() == [0, 0]
    # Squares of 3 x 3 that are a column apart share six of twelve pixels.
    drawn = squares(beside, SIDE) - 0.5
    assert RENDERING.score(drawn, places).tolist() == [0.5, 0.5]
    assert REGRESSION.score(normalised(places, SIDE), places).tolist() == [1, 1]
    assert REGRESSION.score(normalised(beside, SIDE) + 0.01, places).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("task", "answers"),
    [
        (CLASSIFICATION, lambda places: 9 * pixels(places, SIDE)),
        (RENDERING, lambda places: 9 * squares(places, SIDE) - 4),
        (REGRESSION, lambda places: normalised(places, SIDE)),
    ],
    ids=["classification", "rendering", "regression"],
)
def test_the_right_answer_has_the_smaller_loss(
    task: Task, answers: Callable[[Tensor], Tensor]
) -> None:
    places = torch.tensor([[3, 9], [12, 5]])
    assert task.loss(answers(places), places) < task.loss(answers(places.flip(0)), places)


def test_without_coordinates_no_place_differs_from_another() -> None:
    places = torch.tensor([[3, 9], [12, 5]])
    drawn = CoordinateDrawer(SIDE, coordinates=False)(normalised(places, SIDE))
    assert torch.equal(drawn, drawn[..., :1, :1].expand_as(drawn))
    read = CoordinateReader(coordinates=False)(pixels(places, SIDE))
    assert torch.equal(read[0], read[1])


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Sums round by the number of threads, which other tests of a run may have changed."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.long
@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("task", "steps"), [(CLASSIFICATION, 250), (RENDERING, 250), (REGRESSION, 500)]
)
def test_coordinates_reach_a_quadrant_that_was_never_taught(task: Task, steps: int) -> None:
    lessons = []
    for build in (plain_network, coordinate_network):
        torch.manual_seed(0)
        network = build(SIDE, from_picture=task.from_picture)
        lessons.append(teach(network, task, SIDE, "quadrant", steps=steps, seed=0))
    plain, coordinates = lessons
    assert coordinates.test_score > 0.9
    assert plain.test_score < 0.5 < plain.train_score
    assert coordinates.parameters < plain.parameters
    assert coordinates.held_out.sum() == 49
    assert coordinates.scores.isnan().sum() == SIDE**2 - 14**2


def test_the_command_prints_a_table_and_draws_its_maps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "maps.png"
    command = ["--side", "16", "--steps", "2", "--picture", str(path)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 12
    assert lines[2].startswith("| coordinate classification | uniform | plain | ")
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.shape == (3 * 222, 4 * 208, 3)
    assert main(command) == 0
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("side", ["24", "8", "-32"])
def test_a_canvas_that_cannot_be_halved_down_is_refused(
    side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--side", side])
    assert "power of two" in capsys.readouterr().err
