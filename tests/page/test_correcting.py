"""Correcting: every edit is one step that can be undone, and nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.page.reader import Reader, counts_of
from tests.support.films import chest, png
from tests.support.processes import ServiceProcess

SIZE = (70, 60)
LUNG, OTHER_LUNG, CHEST = (18.0, 35.0), (42.0, 35.0), (30.0, 35.0)


def _answer(url: str, film: Path) -> list[str]:
    threshold = httpx.get(f"{url}/model").json()["score_threshold"]
    query = {"score_threshold": threshold}
    answer = httpx.post(f"{url}/segment", params=query, content=film.read_bytes()).json()
    return [one["segmentation"]["counts"] for one in answer["images"][0]["instances"]]


def _undoable(reader: Reader) -> bool:
    return bool(reader.button("Undo").is_enabled())


def test_undo_leads_to_the_answer_and_redo_to_the_corrections(
    reader: Reader, tiny: ServiceProcess, film: Path, tmp_path: Path
) -> None:
    answered = reader.save(tmp_path / "0.zip", everything=True)
    assert counts_of(answered) == _answer(tiny.url, film)
    before = reader.texts()
    centre = reader.at(CHEST, SIZE)

    def paint() -> None:
        reader.drag(centre, reader.at((40, 50), SIZE))

    def erase() -> None:
        reader.press("e")
        reader.drag(centre, reader.at((20, 20), SIZE))

    def add() -> None:
        reader.press("a")
        reader.drag(reader.at((5, 5), SIZE), reader.at((9, 9), SIZE))

    edits: list[Callable[[], Any]] = [
        paint,
        erase,
        lambda: reader.press("f"),
        lambda: reader.press("l"),
        lambda: reader.page.get_by_role("combobox", name="Class").select_option("dark"),
        add,
        lambda: reader.press("Delete"),
        lambda: reader.page.get_by_role("slider", name="Score at least").press("ArrowRight"),
    ]
    reader.press("b")
    said = []
    for edit in edits:
        edit()
        said.append(reader.button("Undo").get_attribute("title"))
    steps = len(set(said))
    assert steps >= len(edits) - 2, said  # there may be no hole, and one piece only
    after, corrected = reader.texts(), counts_of(reader.save(tmp_path / "1.zip", everything=True))
    undone = 0
    while _undoable(reader):
        reader.press("Control+z")
        undone += 1
    assert undone >= steps
    assert reader.texts() == before
    assert counts_of(reader.save(tmp_path / "2.zip", everything=True)) == counts_of(answered)
    for _ in range(undone):
        reader.press("Control+y")
    assert not reader.button("Redo").is_enabled()
    assert reader.texts() == after
    assert counts_of(reader.save(tmp_path / "3.zip", everything=True)) == corrected


def test_a_stroke_that_changes_nothing_is_no_step(reader: Reader) -> None:
    reader.press("e", *["["] * 8)
    reader.drag(reader.at((-8, 35), SIZE), reader.at((-8, 36), SIZE))
    assert not _undoable(reader)
    reader.instances().first.get_by_role("button").click()
    reader.drag(reader.at((-8, 35), SIZE), reader.at((-8, 36), SIZE))
    reader.press("b")
    reader.drag(reader.at((-8, 35), SIZE), reader.at((-8, 36), SIZE))
    assert not _undoable(reader)


def test_painting_inside_another_instance_chooses_it(reader: Reader) -> None:
    first, second = (reader.instances().nth(at).get_by_role("button") for at in (0, 1))
    first.click()
    assert first.get_attribute("aria-pressed") == "true"
    chosen = reader.texts()[0]
    under = LUNG if "bright" in chosen else CHEST
    reader.press("b")
    reader.drag(reader.at(under, SIZE))
    assert second.get_attribute("aria-pressed") == "true"
    # With Alt the chosen one stays so.
    first.click()
    reader.page.keyboard.down("Alt")
    reader.drag(reader.at(under, SIZE))
    reader.page.keyboard.up("Alt")
    assert first.get_attribute("aria-pressed") == "true"
    assert reader.texts()[0] != chosen


def test_control_turns_the_brush_into_the_eraser(reader: Reader) -> None:
    reader.press("b")
    reader.page.keyboard.down("Control")
    reader.drag(reader.at(CHEST, SIZE))
    reader.page.keyboard.up("Control")
    assert "erased" in (reader.button("Undo").get_attribute("title") or "")


def test_a_stroke_that_is_given_up_leaves_no_trace(reader: Reader) -> None:
    before = reader.texts()
    reader.press("b")
    x, y = reader.at(CHEST, SIZE)
    reader.page.mouse.move(x, y)
    reader.page.mouse.down()
    reader.page.mouse.move(x + 100, y, steps=3)
    reader.press("Escape")
    reader.page.mouse.move(x, y + 100)
    reader.page.mouse.up()
    assert not _undoable(reader)
    assert reader.texts() == before


def test_an_answer_never_overwrites_corrections(reader: Reader, tmp_path: Path, film: Path) -> None:
    """Ten films, of which the page forgets some; they are asked for again."""
    reader.press("n", "Delete")
    corrected = reader.texts()
    others = []
    for at in range(10):
        others.append(tmp_path / f"other-{at}.png")
        others[-1].write_bytes(png(chest(71 + at, 60) * 16))
    reader.choose_files(*others)
    ready = reader.films().filter(has_text=re.compile(r"\d instance"))
    for at in range(1, 11):
        reader.page.wait_for_timeout(50)
        ready.nth(at).wait_for()
        reader.press("PageDown")
    reader.hears(re.compile("instance"))
    with reader.page.expect_response(re.compile("/segment")):
        reader.films().first.get_by_role("button").click()
    reader.page.get_by_text("x ").first.wait_for(state="attached")
    reader.button("Fit").wait_for()
    assert reader.texts() == corrected
    reader.press("Control+z")
    assert len(reader.texts()) == len(corrected) + 1


@pytest.mark.parametrize("leaves", [True, False])
def test_leaving_warns_where_something_is_unsaved(
    leaves: bool, reader: Reader, tmp_path: Path
) -> None:
    asked: list[str] = []

    def leave(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    reader.page.on("dialog", leave)
    reader.press("n", "Delete")
    if not leaves:
        reader.save(tmp_path / "saved.zip", everything=True)
    reader.page.reload()
    assert asked == (["beforeunload"] if leaves else [])


def test_the_score_slider_is_over_one_answer(reader: Reader) -> None:
    asked: list[str] = []
    reader.page.on("request", lambda request: asked.append(request.url))
    slider = reader.page.get_by_role("slider", name="Score at least")
    slider.focus()
    reader.press("End")
    assert reader.instances().count() == 0
    reader.press("Home")
    assert reader.instances().count() == 2
    assert asked == []
    reader.press("Escape", "Control+z")
    assert reader.instances().count() == 2
    assert not _undoable(reader)
    assert np.isfinite(float(slider.input_value()))
