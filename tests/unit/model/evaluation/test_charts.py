"""Charts: points are where the axes say, whatever the names and however many there are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from model.evaluation.charts import COLOURS, Line, line_chart, matrix_chart
from model.evaluation.figures import draw_training
from model.evaluation.lettering import text_width

# What the axes enclose, in pixels: left, top, width, height.
LEFT, TOP, WIDTH, HEIGHT = 70, 44, 480, 360


def places(picture: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> npt.NDArray[np.int64]:
    """(x, y) of the pixels of a colour within the axes."""
    inside = picture[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
    return np.argwhere((inside == colour).all(-1))[:, ::-1]


def test_a_line_goes_through_its_points() -> None:
    lines = [Line("a", [(0, 1), (1, 1)]), Line("b", [(0, 0.25), (0.5, None), (1, 0.25)])]
    picture = line_chart("title", ("x", "y"), lines, (0, 1), (0, 1))
    top, quarter = places(picture, COLOURS[0]), places(picture, COLOURS[1])
    assert top[:, 1].max() <= 2
    assert quarter[:, 1].mean() == pytest.approx(0.75 * HEIGHT, abs=2)
    assert np.ptp(quarter[:, 0]) == pytest.approx(WIDTH, abs=3)  # None leaves no gap


@pytest.mark.parametrize("names", [(), ("肺", "Größe", "x" * 300), [f"c{i}" for i in range(200)]])
def test_any_names_and_any_number_of_lines_are_drawn(names: tuple[str, ...]) -> None:
    lines = [Line(name, [(0.0, 1.0), (3.0, None), (7.3, 12.0)]) for name in names]
    picture = line_chart("title", ("x", "y"), lines)
    assert picture.shape == (460, 800, 3)
    counts = np.arange((len(names) + 1) ** 2).reshape(len(names) + 1, -1)
    assert matrix_chart("title", ("x", "y"), [*names, "nothing"], counts).ndim == 3


@pytest.mark.parametrize("points", [[], [(0.0, None)], [(0.0, 0.0)], [(1e-9, 1e9), (2e9, 1e-9)]])
def test_any_points_are_drawn(points: list[tuple[float, float | None]]) -> None:
    line_chart("title", ("x", "y"), [Line("a", points)])


def test_text_of_any_script_takes_room() -> None:
    assert 0 < text_width("i") < text_width("肺") < text_width("Größe")


def test_a_cell_is_the_darker_the_larger_its_part_of_its_row() -> None:
    counts = np.array([[90, 10, 0], [0, 1, 1], [0, 0, 0]])
    picture = matrix_chart("title", ("found as", "annotated as"), ["a", "b", "nothing"], counts)
    full = places_of_shade(picture, 0.9), places_of_shade(picture, 0.5)
    assert full[0] > 0
    assert full[1] > 1.5 * full[0]  # two cells of one half


def places_of_shade(picture: npt.NDArray[np.uint8], part: float) -> int:
    shade = [round(255 + part * (end - 255)) for end in COLOURS[0]]
    return int((picture == shade).all(-1).sum())


def test_the_best_validation_has_a_dot() -> None:
    values = (0.1, 0.6, 0.4)
    rows = [
        {"passes": 1.0 + at, "mask": 0.5, "ap": ap, "ap50": None, "dice": 0.0, "best": at == 1}
        for at, ap in enumerate(values)
    ]
    picture = draw_training(rows, ["mask"])[:, 800:]
    x, y = LEFT + WIDTH * 2 / 3, TOP + HEIGHT * 0.4
    dot = (picture[round(y), round(x)], picture[round(y) - 6, round(x)])
    assert dot[0].tolist() == [255, 255, 255]
    assert dot[1].tolist() == list(COLOURS[0])
