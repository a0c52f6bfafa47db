"""Data sets that are opened: nothing of them is mistaken, and nothing is left out unsaid."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from model.data.coco import DatasetError, load_coco
from tests.page.reader import read_zip
from tests.support.coco_folder import SIZE, annotation, document, image, write
from tests.support.dicom import dicom_file
from tests.support.engines import manifest, write_tiny_model
from tests.support.films import chest, png
from tests.support.processes import ServiceProcess, free_port, serving

GREY = np.tile(np.arange(SIZE[1], dtype=np.uint8), (SIZE[0], 1))


def _zipped(folder: Path) -> Path:
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.rglob("*.*")):
            out.write(path, str(path.relative_to(folder)))
    return archive


def _unzipped(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    return folder


def test_a_film_of_another_size_than_its_masks_is_refused(
    tiny: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    """As where a tool has turned the film by its EXIF orientation: pixels are as many."""
    folder = write(tmp_path / "set", document(), {"film.png": np.ascontiguousarray(GREY.T)})
    reader = visit(tiny.url)
    reader.choose_files(_zipped(folder))
    reader.films().filter(has_text=re.compile("! .*80 . 100.*100 . 80")).wait_for()
    assert reader.button("Save data set").is_disabled()


def test_frames_of_a_data_set_are_those_that_were_drawn(
    tiny: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    frames = np.stack([chest(80, 100), chest(80, 100)[:, ::-1] + 100, chest(80, 100)[::-1]])
    entries = [
        image(id=at, file_name="run.dcm", frame=frame, frames=3) for at, frame in ((7, 2), (8, 0))
    ]
    content = document(images=entries, annotations=[annotation(), annotation(id=1, image_id=8)])
    folder = write(tmp_path / "set", content, {})
    (folder / "run.dcm").write_bytes(dicom_file(frames))
    reader = visit(tiny.url)
    reader.open(_zipped(folder))
    assert reader.films().count() == 2
    reader.press("PageDown")
    reader.films().nth(1).filter(has_text="1 instance").wait_for()
    saved, _ = read_zip(reader.save(tmp_path / "saved.zip", everything=True))
    assert saved["images"][0]["file_name"].endswith("-2.png")
    assert len(saved["annotations"]) == 2


def test_what_is_left_out_stays_in_view(tiny: ServiceProcess, visit: Any, tmp_path: Path) -> None:
    content = document(
        images=[image(), image(id=8, file_name="lost.png")],
        annotations=[annotation(), annotation(id=71, iscrowd=1)],
    )
    reader = visit(tiny.url)
    reader.open(_zipped(write(tmp_path / "set", content, {"film.png": GREY})))
    note = reader.page.get_by_role("alert").filter(has_text="1 crowd region, 1 image without")
    assert note.is_visible()


def test_reviewed_films_stay_reviewed_and_keep_their_names(
    tiny: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    """The name is of the first file's SHA-256, not of the PNG that was saved."""
    film = tmp_path / "film.dcm"
    film.write_bytes(dicom_file(chest(90, 80)))
    reader = visit(tiny.url)
    reader.open(film)
    reader.press("Enter")
    first = reader.save(tmp_path / "first.zip")
    again = visit(tiny.url)
    again.open(first)
    again.choose_files(film)
    again.films().nth(1).filter(has_text="open already").wait_for()
    second = again.save(tmp_path / "second.zip")
    assert read_zip(first)[0] == read_zip(second)[0]


def test_class_names_that_training_takes_for_one_are_one(
    tiny: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    """The model has `bright`."""
    content = document(categories=[{"id": 2, "name": "Bri ght"}, {"id": 9, "name": "heart"}])
    content["annotations"] = [annotation(category_id=2), annotation(id=1, category_id=9)]
    folder = write(tmp_path / "set", content, {"film.png": GREY})
    reader = visit(tiny.url)
    reader.page.get_by_text("tiny 1").wait_for()
    reader.open(_zipped(folder))
    saved = reader.save(tmp_path / "saved.zip", everything=True)
    data = load_coco(_unzipped(saved, tmp_path / "saved"))
    assert data.class_names == ("bright", "dark", "heart")
    assert [item.label for item in data.images[0].annotations] == [0, 2]
    assert data.category_ids[:2] == (1, 7)


def test_another_model_that_answers_meanwhile_is_met(
    tiny_model: Path, visit: Any, tmp_path: Path
) -> None:
    """As after a restart while the page is open: its labels are no classes of the one before."""
    other = manifest(name="other", class_names=("heart", "spine"))
    models = tiny_model, write_tiny_model(tmp_path / "m.onnx", other)
    films = [tmp_path / f"{at}.png" for at in range(2)]
    for at, path in enumerate(films):
        path.write_bytes(png(chest(75 + at, 61) * 16))
    port = free_port()
    with serving(tmp_path / "output", port=port, model=models[0], provider="cpu") as running:
        reader = visit(running.url)
        reader.open(films[0])
        reader.page.wait_for_load_state("networkidle")
    with serving(tmp_path / "output", port=port, model=models[1], provider="cpu"):
        reader.choose_files(films[1])
        reader.films().nth(1).filter(has_text=re.compile(r"\d instance")).wait_for()
        reader.page.get_by_text("other 1").wait_for()
        saved, _ = read_zip(reader.save(tmp_path / "saved.zip", everything=True))
    names = {entry["id"]: entry["name"] for entry in saved["categories"]}
    assert sorted(names.values()) == ["bright", "dark", "heart", "spine"]
    for image_id, expected in ((1, {"bright", "dark"}), (2, {"heart", "spine"})):
        found = [one for one in saved["annotations"] if one["image_id"] == image_id]
        assert found
        assert {names[one["category_id"]] for one in found} <= expected


def test_a_save_that_fails_is_no_save(tiny: ServiceProcess, visit: Any, tmp_path: Path) -> None:
    film = tmp_path / "film.png"
    film.write_bytes(png(chest(75, 61) * 16))
    reader = visit(tiny.url)
    reader.open(film)
    reader.press("n", "Delete")
    reader.page.evaluate("() => { Blob.prototype.arrayBuffer = () => Promise.reject(Error('no')) }")
    reader.press("Control+s")
    reader.button("Save all").click()
    reader.hears("no")
    with reader.page.expect_event("dialog") as asked:
        reader.page.evaluate("() => { setTimeout(() => location.reload()) }")
    asked.value.dismiss()


OTHERS: list[tuple[str, str, bool]] = [
    ("film.png", "images/film.png", True),
    ("a%20b.png", "images/a b.png", True),
    ("a b.png", "a%20b.png", True),
    ("/data/local-files/?d=up%2Ffilm.png", "images/film.png", True),
    ("https://example.org/x/film.png?v=1", "images/film.png", True),
    ("C:\\films\\film.png", "images/film.png", True),
    ("../../upload/film.png", "images/film.png", True),
    ("FILM.PNG", "images/film.png", True),
    ("Lu\u0308.png", "images/L\u00fc.png", True),
    ("100%.png", "images/100%.png", True),
    ("p2/film.png", "p1/film.png", False),
    ("images/film.png", "masks/film.png", False),
    ("film.png", "thumbnails/film.png", False),
    ("film.png", "p1/film.png", False),
]


@pytest.mark.parametrize(("name", "path", "found"), OTHERS)
def test_films_are_found_where_training_finds_them(
    name: str, path: str, *, found: bool, modules: Any, tmp_path: Path
) -> None:
    target = tmp_path / path
    target.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(target), GREY)
    write(tmp_path, document(images=[image(file_name=name)]), {})
    try:
        assert load_coco(tmp_path).images[0].path.samefile(target)
        by_training = True
    except DatasetError:
        by_training = False
    assert by_training == found
    match = "([name, paths]) => coco.matchFiles([name], paths)[0] ?? null"
    assert modules.evaluate(match, [name, ["annotations.json", path]]) == (path if found else None)


def test_json_files_that_are_no_annotations_are_passed_over(
    tiny: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    folder = write(tmp_path / "set", document(), {"film.png": GREY})
    (folder / "about.json").write_text(json.dumps({"licences": []}))
    load_coco(folder)
    reader = visit(tiny.url)
    reader.open(_zipped(folder))
    assert reader.instances().count() == 1


def test_names_that_differ_by_case_alone_are_refused(
    tiny: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    content = document(categories=[{"id": 2, "name": "rib"}, {"id": 3, "name": "Rib"}])
    content["annotations"] = [annotation(category_id=3)]
    folder = write(tmp_path / "set", content, {"film.png": GREY})
    with pytest.raises(DatasetError, match="differ by case"):
        load_coco(folder)
    reader = visit(tiny.url)
    reader.choose_files(_zipped(folder))
    reader.hears(re.compile("'rib' and 'Rib'"))
