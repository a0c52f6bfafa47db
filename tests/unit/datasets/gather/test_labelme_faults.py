"""Labelme's files with faults: what can be read is, and the rest is told."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.gather.__main__ import main
from tests.support.exports import (
    SHAPES,
    SIZE,
    encoded,
    film,
    gathered,
    labelme,
    mask_of,
    put_films,
    put_png,
    put_text,
    shape,
)
from tests.support.gathered import bomb, dropped

BOLT = SHAPES["a"][0][1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"points": []}, "instance segmentation needs an outline"),
        ({"points": [[0, 0], [5, 5]]}, "three or more x, y pairs"),
        ({"points": [[0, 0], [5, 5]], "shape_type": "line"}, "of type 'line' encloses no area"),
        ({"points": [[3, 3]], "shape_type": "point"}, "of type 'point' encloses no area"),
        ({"points": [[3, 3]], "shape_type": "circle"}, "a circle has two points, it has 1"),
        ({"points": [[3, 0], [3, 9]], "shape_type": "rectangle"}, "encloses no area"),
        ({"points": [[0, 0], [float("nan"), 5], [5, 0]]}, "no finite numbers"),
        ({"points": [[0, 0], [1e300, 5], [5, 0]]}, "no finite numbers"),
        ({"points": [[0, 0], ["5", 5], [5, 0]]}, "no finite numbers"),
        ({"points": [[0, 0], [1e4, 5], [5, 0]]}, "farther out of the image"),
        ({"points": "none"}, "no finite numbers"),
        ({"label": None}, "it has no label"),
        ({"label": "\ud800"}, "it has no label"),
        ({"shape_type": ["polygon"]}, "encloses no area"),
        ({"shape_type": "mask"}, "a mask has two points, it has 4"),
    ],
)
def test_shapes_of_labelme(
    change: dict[str, Any], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_films(tmp_path / "a", "a")
    document = labelme("a")
    document["shapes"].append(shape("bolt", BOLT, **change))
    put_text(tmp_path / "a" / "a.json", document)
    ((films, objects, text),) = dropped(tmp_path / "a", capsys)
    assert (films, objects) == (0, -1)
    assert sentence in text


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (base64.b64encode(bomb((30_000, 30_000))).decode(), "is of 30000 x 30000 pixels, not 21"),
        (base64.b64encode(bomb((21, 17))).decode(), "its data are damaged"),
        ("%%", "no base64"),
        (None, "without its picture"),
        (base64.b64encode(b"GIF89a").decode(), "no PNG file"),
        (encoded(np.zeros((21, 17), np.uint8)), "its mask is empty"),
    ],
)
def test_masks_of_labelme_that_cannot_be_read(
    mask: str | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_films(tmp_path / "a", "a")
    document = labelme("a")
    box = [[4, 6], [20, 26]]
    document["shapes"].append(shape("nut", BOLT, points=box, shape_type="mask", mask=mask))
    put_text(tmp_path / "a" / "a.json", document)
    ((_, objects, text),) = dropped(tmp_path / "a", capsys)
    assert objects == -1
    assert sentence in text


def test_forms_of_labelme(tmp_path: Path) -> None:
    """Rectangle, circle, mask, and shapes that one `group_id` joins."""
    put_films(tmp_path / "a", "a")
    mask = encoded(np.full((20, 16), 255, np.uint8))
    shapes = [
        shape("box", BOLT, shape_type="rectangle", points=[[20, 26], [4, 6]]),
        shape("mask", BOLT, shape_type="mask", points=[[4, 6], [19, 25]], mask=mask),
        shape("disc", BOLT, shape_type="circle", points=[[30, 24], [30, 4]]),
        *(shape("pair", box, group_id=3) for _, box in SHAPES["a"]),
        shape("mixed", SHAPES["a"][1][1], group_id=3),
        shape("mixed", BOLT, group_id=3, shape_type="mask", points=[[4, 6], [19, 25]], mask=mask),
    ]
    put_text(tmp_path / "a" / "a.json", labelme("a", shapes=shapes))
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    found = {name: mask for _, name, mask in gathered(tmp_path / "out")}
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    disc = np.frombuffer(found.pop("disc"), bool).reshape(SIZE)
    exact = (columns - 30) ** 2 + (rows - 24) ** 2 < 20**2
    assert (disc ^ exact).sum() <= 0.02 * exact.sum()
    both = mask_of(BOLT) | mask_of(SHAPES["a"][1][1])
    assert found == {
        "box": mask_of(BOLT).tobytes(),
        "mask": mask_of(BOLT).tobytes(),
        "pair": both.tobytes(),
        "mixed": both.tobytes(),
    }


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"imagePath": "../../secret.png"}, "outside"),
        ({"imagePath": "lost.png"}, "there is no file"),
        ({"imagePath": 5}, "there is no file"),
        ({"imagePath": "lost.png", "imageData": "%"}, "no base64"),
        ({"imagePath": "lost.png", "imageData": "R0lGODlh"}, "none of DICOM, PNG"),
        ({"shapes": 5}, "is no JSON file of labelme"),
        ({"imageHeight": 47}, "'b.png' is 48 x 64 pixels, its annotations are for 47 x 64"),
    ],
)
def test_files_of_labelme(
    changes: dict[str, Any], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_png(tmp_path.parent / "secret.png", film("s"))
    put_films(tmp_path / "a", "ab")
    put_text(tmp_path / "a" / "a.json", labelme("a"))
    put_text(tmp_path / "a" / "b.json", labelme("b", **changes))
    found = [text for _, _, text in dropped(tmp_path / "a", capsys)]
    assert any(sentence in text for text in found), found
