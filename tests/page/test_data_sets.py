"""What is saved is what training takes, and what was saved or made elsewhere is gone on with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from model.data.coco import load_coco
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from tests.page.reader import Reader, counts_of, read_zip
from tests.support.coco_folder import annotation, document, image, write
from tests.support.dicom import PATIENT_ID, PATIENT_NAME, dicom_file
from tests.support.films import chest, png
from tests.support.processes import ServiceProcess

CHEST = Path(__file__).parents[2] / "examples/chest.dcm"


def _correct(reader: Reader, down: float = 60) -> None:
    reader.press("n", "b")
    box = reader.film().bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    reader.page.keyboard.down("Alt")
    reader.drag(middle, (middle[0] + 40, middle[1] + down))
    reader.page.keyboard.up("Alt")
    assert reader.button("Undo").is_enabled()


def _unpack(saved: Path, folder: Path) -> Path:
    with zipfile.ZipFile(saved) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def corrected(lungs: ServiceProcess, browser: Any, tmp_path_factory: Any) -> tuple[Path, list[str]]:
    """A data set of chest.dcm, corrected, and of a film without instances; and what was listed."""
    folder = tmp_path_factory.mktemp("corrected")
    surname = folder / "Secret^Surname.dcm"
    surname.write_bytes(CHEST.read_bytes())
    negative = folder / "negative.png"
    negative.write_bytes(png(np.full((80, 90), 30, np.uint8)))
    reader = Reader(browser.new_context(viewport={"width": 1500, "height": 950}), lungs.url)
    reader.open(surname, negative)
    _correct(reader)
    listed = reader.texts()
    reader.page.get_by_label("Patient pseudonym").fill("p 1")
    reader.film().focus()
    reader.press("Enter")
    reader.hears(re.compile("instance"))
    reader.page.get_by_label("Score at least").press("End")
    reader.film().focus()
    reader.press("Enter")
    saved = reader.save(folder / "saved.zip")
    assert not reader.troubles
    reader.context.close()
    return saved, listed


def test_what_is_saved_is_what_was_seen(corrected: tuple[Path, list[str]], tmp_path: Path) -> None:
    saved, listed = corrected
    document, images = read_zip(saved)
    grey = decode(CHEST.read_bytes(), Limits(10**8), 0).pixels >> 8
    first, second = document["images"]
    np.testing.assert_array_equal(images[first["file_name"]], grey)
    assert second["file_name"] in images
    assert len(images) == 2
    assert len(load_coco(_unpack(saved, tmp_path / "set")).images) == 2
    spacing = first["pixel_spacing_mm"][0] * first["pixel_spacing_mm"][1] / 100
    masks = [entry["segmentation"] for entry in document["annotations"]]
    areas = [f"{coco_mask.area(mask) * spacing:.1f} cm²" for mask in masks]
    assert len(areas) == len(listed)
    for area, text in zip(areas, listed, strict=True):
        assert area in text
    assert all(entry["image_id"] == first["id"] for entry in document["annotations"])
    assert first["patient_id"] == "p 1"


def test_nothing_that_is_saved_tells_of_a_patient(corrected: tuple[Path, list[str]]) -> None:
    with zipfile.ZipFile(corrected[0]) as archive:
        everything = corrected[0].read_bytes() + b"".join(
            archive.read(name) for name in archive.namelist()
        )
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    for name in (b"Secret", b"Surname", b"negative", b"PatientName", b"PatientID", b".dcm"):
        assert name not in everything


def test_a_planted_patient_is_not_saved(lungs: ServiceProcess, visit: Any, tmp_path: Path) -> None:
    film = tmp_path / "film.dcm"
    film.write_bytes(dicom_file(chest(300, 280), WindowCenter=1800, WindowWidth=900))
    assert PATIENT_ID.encode() in film.read_bytes()
    reader = visit(lungs.url)
    reader.open(film)
    everything = reader.page.content() + reader.page.inner_text("body")
    saved = reader.save(tmp_path / "saved.zip", everything=True).read_bytes()
    for secret in (PATIENT_ID, PATIENT_NAME):
        assert secret not in everything
        assert secret.encode() not in saved


def test_the_doctor_and_training_take_what_is_saved(
    corrected: tuple[Path, list[str]], tmp_path: Path
) -> None:
    data = _unpack(corrected[0], tmp_path / "set")
    for command in (
        ["datasets.doctor", "--data", data, "--preset", "cxr-lungs"],
        ["model.train", "--preset", "cxr-lungs", "--data", data, "--iterations", "2",
         "--out", tmp_path / "run"],
    ):  # fmt: skip
        arguments = [sys.executable, "-m", *map(str, command)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    assert list((tmp_path / "run").glob("**/checkpoint.pt"))


def test_a_saved_data_set_is_gone_on_with(
    corrected: tuple[Path, list[str]], lungs: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    saved, listed = corrected
    reader = visit(lungs.url)
    reader.open(saved)
    assert reader.films().count() == 2
    assert reader.instances().count() == len(listed)
    again = reader.save(tmp_path / "again.zip")
    assert counts_of(again) == counts_of(saved)
    (before, old), (after, new) = read_zip(saved), read_zip(again)
    assert [one.tobytes() for one in old.values()] == [one.tobytes() for one in new.values()]
    assert before["images"][0]["patient_id"] == after["images"][0]["patient_id"]
    assert before["images"][0]["pixel_spacing_mm"] == after["images"][0]["pixel_spacing_mm"]
    _correct(reader, -60)
    assert counts_of(reader.save(tmp_path / "more.zip")) != counts_of(saved)


@pytest.mark.parametrize("kind", ["zip", "files"])
def test_another_tools_data_set_is_gone_on_with(
    kind: str, lungs: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    """Polygons, plain run lengths, names with folders, categories of its own."""
    mask = np.zeros((80, 100), np.uint8)
    mask[20:60, 10:70] = 1
    mask[30:40, 20:30] = 0
    flat = np.flatnonzero(np.diff(mask.T.ravel(), prepend=0, append=0))
    runs = np.diff([0, *flat.tolist(), mask.size]).tolist()
    content = document(
        images=[image(file_name="train/film.png")],
        annotations=[
            annotation(),
            annotation(id=71, iscrowd=0, segmentation={"size": [80, 100], "counts": runs}),
        ],
    )
    film = np.tile(np.arange(100, dtype=np.uint8), (80, 1))
    folder = write(tmp_path / "set", content, {"train/film.png": film})
    if kind == "zip":
        archive = tmp_path / "set.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
            for path in sorted(folder.rglob("*.*")):
                out.write(path, f"export/{path.relative_to(folder)}")
        files = [archive]
    else:
        files = [folder / "annotations.json", folder / "train/film.png"]
    reader = visit(lungs.url)
    reader.open(*files)
    assert reader.instances().count() == 2
    document_, images = read_zip(reader.save(tmp_path / "saved.zip", everything=True))
    np.testing.assert_array_equal(next(iter(images.values())), film)
    expected = [[20, 10, 60, 10, 60, 50, 20, 50]]
    polygon = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(expected, 80, 100)))
    for entry, truth in zip(document_["annotations"], (polygon, mask), strict=True):
        np.testing.assert_array_equal(coco_mask.decode(entry["segmentation"]), truth)
    names = {entry["name"] for entry in document_["categories"]}
    assert {category["name"] for category in content["categories"]} <= names
    load_coco(_unpack(tmp_path / "saved.zip", tmp_path / "again"))


@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps({"images": [], "categories": [], "annotations": []})]
)
def test_what_is_no_data_set_is_refused_in_a_sentence(
    content: str, lungs: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(content)
    (tmp_path / "a.zip").write_bytes(content.encode())
    reader = visit(lungs.url)
    for name in ("a.json", "a.zip"):
        reader.choose_files(tmp_path / name)
        reader.hears(re.compile("cannot be opened: .+"))
        assert reader.films().count() == 0


def test_frames_of_a_file_are_films(lungs: ServiceProcess, visit: Any, tmp_path: Path) -> None:
    film = tmp_path / "run.dcm"
    frames = np.stack([chest(200, 180), chest(200, 180)[:, ::-1] + 100, chest(200, 180)[::-1]])
    film.write_bytes(dicom_file(frames))
    reader = visit(lungs.url)
    reader.open(film)
    assert reader.films().count() == 3
    reader.press("PageDown")
    reader.hears(re.compile("instance"))
    reader.films().nth(1).filter(has_text=re.compile(r"\d instance")).wait_for()
    reader.press("0")
    expected = decode(film.read_bytes(), Limits(10**7), 1).pixels >> 8
    np.testing.assert_array_equal(reader.grey(), expected)
    document, images = read_zip(reader.save(tmp_path / "saved.zip", everything=True))
    assert len(images) == len(document["images"]) == 2
    np.testing.assert_array_equal(images[document["images"][1]["file_name"]], expected)
