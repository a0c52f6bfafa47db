"""Label maps of `python -m solo` and of the service, back into a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.gather.__main__ import main
from solo.formats.pictures import encode_png
from tests.support.exports import (
    SHAPES,
    coco,
    gathered,
    label_map,
    mask_of,
    put_films,
    put_png,
    put_text,
    renamed,
    truth,
)

NEW = (40, 30, 60, 46)


def found_by_a_model(folder: Path) -> dict[str, Any]:
    """Documents of `--format coco,label-map`; in film `b` a second object is behind the first."""
    document = coco(frame=0, frames=1)
    for entry in document["images"]:
        name = entry["file_name"]
        entry["label_map"] = f"label-maps/films-0123456789abcdef/{name}.png"
        put_png(folder / entry["label_map"], label_map(Path(name).stem))
    behind = dict(document["annotations"][2], id=99, category_id=1)
    document["annotations"].insert(3, behind)
    put_films(folder)
    put_text(folder / "annotations.json", document)
    return document


def test_maps_that_nobody_touched_leave_the_document_as_it_is(tmp_path: Path) -> None:
    found_by_a_model(tmp_path / "a")
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    behind = ("b", "bolt", mask_of(SHAPES["b"][0][1]).tobytes())
    assert gathered(tmp_path / "out") == sorted([*truth(), behind])


def test_an_edited_map_counts_in_place_of_the_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = found_by_a_model(tmp_path / "a")
    labels = label_map("a")
    labels[labels == 1] = 0
    labels[mask_of(NEW)] = 1  # the bolt was elsewhere
    labels[0, 0] = 7
    put_png(tmp_path / "a" / document["images"][0]["label_map"], labels)
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    found = [entry for entry in gathered(tmp_path / "out") if entry[0] == "a"]
    expected = [("a", "bolt", mask_of(NEW)), ("a", "nut", mask_of(SHAPES["a"][1][1]))]
    assert found == [(film, name, mask.tobytes()) for film, name, mask in expected]
    said = capsys.readouterr().out
    assert "Label maps that were edited: 1." in said
    assert "0         -1" in said
    assert "1 numbers that the document has no instance for" in said


@pytest.mark.parametrize("place", ["../secret.png", "lost.png", "/etc/passwd", "annotations.json"])
def test_maps_that_cannot_be_read_are_passed_over(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_png(tmp_path / "secret.png", label_map("c"))
    document = found_by_a_model(tmp_path / "a")
    document["images"][0]["label_map"] = place
    put_text(tmp_path / "a" / "annotations.json", document)
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    assert len(gathered(tmp_path / "out")) == 6
    assert f"the label map '{place}' is passed over" in capsys.readouterr().out


def test_a_map_of_the_service_says_its_classes(tmp_path: Path) -> None:
    put_films(tmp_path / "a" / "images")
    (tmp_path / "a" / "label-maps").mkdir()
    for name, shapes in SHAPES.items():
        text = json.dumps({"instances": [{"label": label} for label, _ in shapes]})
        content = encode_png(label_map(name, np.uint16), text)
        (tmp_path / "a" / "label-maps" / f"{name}.png").write_bytes(content)
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    assert gathered(tmp_path / "out") == truth()


@pytest.mark.parametrize("text", ["", "{}", "[", '{"instances": 5}', '{"instances": [5]}'])
def test_texts_that_say_no_class(text: str, tmp_path: Path) -> None:
    put_films(tmp_path / "a" / "images")
    (tmp_path / "a" / "label-maps").mkdir()
    for name in SHAPES:
        content = encode_png(label_map(name), text)
        (tmp_path / "a" / "label-maps" / f"{name}.png").write_bytes(content)
    arguments = [str(tmp_path / "a"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert main([*arguments, "--class", "x"]) == 0
    assert gathered(tmp_path / "out") == renamed(truth(), bolt="x", nut="x")
