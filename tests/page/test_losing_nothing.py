"""What is done at an awkward moment: corrections, classes and what is said stay true."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.page.reader import Reader, counts_of, read_zip
from tests.support.coco_folder import annotation, document, image, write
from tests.support.engines import manifest, write_tiny_model
from tests.support.films import chest, png
from tests.support.processes import ServiceProcess, serving

SIZE = (70, 60)
CHEST, ASIDE = (30.0, 35.0), (55.0, 60.0)


def _others(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"other-{at}.png" for at in range(count)]
    for at, path in enumerate(paths):
        path.write_bytes(png(chest(71 + at, 60) * 16))
    return paths


def _await_answers(reader: Reader, count: int) -> None:
    ready = reader.films().filter(has_text=re.compile(r"\d instance"))
    ready.nth(count - 1).wait_for()


@pytest.mark.parametrize("key", ["Control+z", "Delete", "f", "l"])
def test_an_edit_during_a_stroke_leaves_each_instance_once(
    key: str, reader: Reader, tmp_path: Path
) -> None:
    reader.press("b")
    reader.drag(reader.at(CHEST, SIZE), reader.at((40, 50), SIZE))
    before = reader.instances().count()
    x, y = reader.at(CHEST, SIZE)
    reader.page.mouse.move(x, y)
    reader.page.mouse.down()
    reader.page.mouse.move(x + 120, y + 50, steps=3)
    reader.press(key)
    reader.page.mouse.up()
    reader.settle()
    listed = reader.instances().count()
    assert listed == before - (key == "Delete")
    assert len(counts_of(reader.save(tmp_path / "a.zip", everything=True))) == listed


def test_another_version_of_the_model_is_named(visit: Any, film: Path, tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "m.onnx", manifest())
    with serving(
        tmp_path / "output", model=model, provider="cpu", reload_on_hangup=True
    ) as running:
        reader = visit(running.url)
        reader.page.get_by_text("tiny 1").wait_for()
        write_tiny_model(tmp_path / "new.onnx", manifest(version="2")).replace(model)
        running.process.send_signal(signal.SIGHUP)
        for _ in range(100):
            if httpx.get(f"{running.url}/model").json()["version"] == "2":
                break
            reader.page.wait_for_timeout(50)
        reader.open(film)
        reader.page.get_by_text("tiny 2").wait_for()


def test_what_a_data_set_lacks_is_told(tiny: ServiceProcess, visit: Any, tmp_path: Path) -> None:
    images = [image(file_name="film.png"), image(id=99, file_name="gone.png")]
    content = document(images=images, annotations=[annotation(), annotation(id=9, iscrowd=1)])
    folder = write(tmp_path / "set", content, {"film.png": chest(80, 100).astype(np.uint8)})
    reader = visit(tiny.url)
    reader.open(folder / "annotations.json", folder / "film.png")
    told = reader.page.get_by_role("alert").inner_text()
    assert "1 image without" in told
    assert "1 crowd region" in told


def test_an_edit_while_a_data_set_is_saved_is_not_saved_yet(reader: Reader, tmp_path: Path) -> None:
    others = _others(tmp_path, 9)
    reader.choose_files(*others)
    _await_answers(reader, 10)
    held: list[Any] = []
    reader.page.route(re.compile("/segment"), lambda route: held.append(route))
    reader.press("Control+s")
    reader.button("Save all").click()
    reader.hears("Saving")
    while not held:  # a film that was forgotten is asked for
        reader.page.wait_for_timeout(20)
    reader.press("n", "Delete")
    with reader.page.expect_download():
        while held:
            held.pop().continue_()
            reader.page.wait_for_timeout(200)
    asked: list[str] = []

    def leave(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    reader.page.on("dialog", leave)
    reader.page.reload()
    assert asked == ["beforeunload"]


def test_a_film_that_cannot_be_had_again_is_not_left_out_in_silence(
    reader: Reader, tmp_path: Path
) -> None:
    reader.press("n", "Delete")
    corrected = reader.texts()
    reader.choose_files(*_others(tmp_path, 10))
    _await_answers(reader, 11)
    for _ in range(10):
        reader.press("PageDown")
        reader.hears(re.compile("instance"))
    reader.page.route(re.compile("/segment"), lambda route: route.abort())
    reader.films().first.get_by_role("button").click()
    reader.films().first.filter(has_text="cannot be reached").wait_for()
    assert reader.texts() == corrected
    reader.press("Control+s")
    reader.button("Save all").click()
    reader.hears("cannot be reached")
    reader.page.unroute(re.compile("/segment"))
    saved, _ = read_zip(reader.save(tmp_path / "saved.zip", everything=True))
    assert len(saved["images"]) == 11
    reader.troubles[:] = [one for one in reader.troubles if "ERR_FAILED" not in one]


def test_reviewed_films_stay_so_in_what_is_saved(
    reader: Reader, tiny: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    reader.choose_files(*_others(tmp_path, 1))
    _await_answers(reader, 2)
    reader.film().focus()
    reader.press("Enter")
    saved = reader.save(tmp_path / "saved.zip")
    again = visit(tiny.url)
    again.open(saved)
    assert again.page.get_by_label("reviewed", exact=True).is_checked()


def test_a_key_held_down_reviews_one_film(reader: Reader, tmp_path: Path) -> None:
    reader.choose_files(*_others(tmp_path, 4))
    _await_answers(reader, 5)
    reader.film().focus()
    for _ in range(4):
        reader.page.keyboard.down("Enter")  # the browser repeats it
        reader.settle()
    reader.page.keyboard.up("Enter")
    reader.page.get_by_text("1 of 5 reviewed").wait_for()


def test_the_grey_of_each_film_is_named(reader: Reader, tmp_path: Path) -> None:
    reader.choose_files(*_others(tmp_path, 1))
    _await_answers(reader, 2)
    grey = reader.page.get_by_label("Grey", exact=False)
    for words in ("dark regions", "full range"):
        grey.select_option(label=words)
        reader.film().focus()
        reader.press("PageDown")
        assert grey.locator("option:checked").inner_text().strip() == "as the model saw it"
        reader.press("PageUp")
        assert grey.locator("option:checked").inner_text().strip() == words


@pytest.mark.parametrize("typed", ["-5", "0", "", "1e999"])
def test_a_number_that_is_no_window_does_not_stay(typed: str, reader: Reader) -> None:
    field = reader.page.get_by_label("Width")
    before, grey = field.input_value(), reader.grey()
    field.fill(typed)
    reader.press("Tab")
    assert float(field.input_value()) == float(before)
    np.testing.assert_array_equal(reader.grey(), grey)


@pytest.mark.parametrize(
    "sizes", [[(1500, 950)], [(900, 600)], [(900, 600), (1500, 950)], [(390, 844), (844, 390)]]
)
def test_a_film_that_fits_fits_whatever_the_window_becomes(
    sizes: list[tuple[int, int]], tiny: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    path = tmp_path / "wide.png"
    path.write_bytes(png(chest(620, 740) * 16))
    reader = visit(tiny.url, viewport={"width": sizes[0][0], "height": sizes[0][1]})
    reader.open(path)
    for width, height in sizes:
        reader.page.set_viewport_size({"width": width, "height": height})
        reader.page.wait_for_timeout(100)
        box, drawn = reader.film().bounding_box(), reader.grey()
        scale = min(box["width"] / 740, box["height"] / 620)
        np.testing.assert_allclose(drawn.shape, (620 * scale, 740 * scale), atol=3)


def test_adding_ends_with_the_film(reader: Reader, tmp_path: Path) -> None:
    reader.choose_files(*_others(tmp_path, 1))
    _await_answers(reader, 2)
    reader.press("a", "PageDown")
    before = reader.instances().count()
    reader.drag(reader.at((30.0, 35.0), (71, 60)))
    assert reader.instances().count() == before


def test_what_is_painted_on_is_shown(reader: Reader) -> None:
    reader.instances().first.get_by_role("button").click()
    reader.instances().first.get_by_role("checkbox").uncheck()
    reader.film().focus()
    reader.press("h", "b")
    reader.page.keyboard.down("Alt")
    reader.drag(reader.at(ASIDE, SIZE))
    reader.page.keyboard.up("Alt")
    assert reader.instances().first.get_by_role("checkbox").is_checked()
    assert reader.button("Outlines").get_attribute("aria-pressed") == "true"


def test_keys_belong_to_the_field_that_is_typed_in(reader: Reader) -> None:
    reader.press("n", "Delete")
    field = reader.page.get_by_label("Centre")
    field.fill("123")
    reader.press("Control+z")
    assert "deleted" in (reader.button("Undo").get_attribute("title") or "")
    # A slider has no use for Enter.
    reader.page.get_by_label("Fill", exact=True).focus()
    reader.press("Enter")
    reader.page.get_by_text("1 of 1 reviewed").wait_for()
