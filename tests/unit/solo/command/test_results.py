"""What the command writes: the document as a data set, overlays and label maps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from pycocotools import mask as coco_mask

from model.data.coco import load_coco
from solo import Options, Segmenter
from solo.command.main import main
from solo.contract.manifest import RESEARCH_USE_ONLY
from tests.support.dicom import PATIENT_ID, PATIENT_NAME, dicom_file
from tests.support.dicom_results import IDENTITY, coded_manifest, hospital_film
from tests.support.engines import expected_distance, fitted, manifest, write_tiny_model
from tests.support.films import chest, flat, png

Command = Callable[..., int]
Document = Callable[[Path], Any]


def frames(count: int) -> bytes:
    pixels = np.stack([flat(60 * frame, 400, 400) for frame in range(count)])
    return dicom_file(pixels, PixelSpacing=[0.2, 0.1])


def middle(path: Path) -> int:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return int(picture[200, 200])


def test_a_training_run_reads_the_document(
    command: Command, document: Document, tmp_path: Path
) -> None:
    films, out = tmp_path / "films", tmp_path / "results" / "here"
    films.mkdir()
    (films / "a.dcm").write_bytes(dicom_file(chest(), PixelSpacing=[0.2, 0.1]))
    (films / "b.png").write_bytes(png(chest(50, 90)))
    assert command(films, "--out", out) == 0
    data = load_coco(out)
    assert (data.class_names, data.category_ids) == (("bright", "dark"), (1, 7))
    assert [image.path.resolve() for image in data.images] == [films / "a.dcm", films / "b.png"]
    assert [(image.height, image.width) for image in data.images] == [(70, 60), (50, 90)]
    assert [image.spacing_mm for image in data.images] == [(0.2, 0.1), None]
    assert [len(image.annotations) for image in data.images] == [2, 2]
    found = document(out)
    assert found["info"]["model"]["name"] == "tiny"
    assert RESEARCH_USE_ONLY in found["info"]["description"]
    text = (out / "annotations.json").read_text() + (out / "journal.jsonl").read_text()
    assert PATIENT_NAME not in text
    assert PATIENT_ID not in text


def test_the_document_has_what_the_library_finds(
    command: Command, document: Document, tiny_model: Path, tmp_path: Path
) -> None:
    film = tmp_path / "a.png"
    film.write_bytes(png(chest()))
    assert command(film, "--out", tmp_path / "out", "--score-threshold", "0.45") == 0
    with Segmenter(tiny_model, provider="cpu") as segmenter:
        result = segmenter.segment(film, options=Options(score_threshold=0.45))
    annotations = document(tmp_path / "out")["annotations"]
    assert [each["score"] for each in annotations] == [each.score for each in result.instances]
    for annotation, instance in zip(annotations, result.instances, strict=True):
        mask = coco_mask.decode(annotation["segmentation"])
        np.testing.assert_array_equal(mask, instance.mask())
        assert annotation["area"] == mask.sum()
        assert annotation["outline_uncertainty"] == instance.outline_uncertainty


def test_all_classes_are_there_where_nothing_was_found(
    command: Command, document: Document, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(png(chest()))
    command(tmp_path / "a.png", "--out", tmp_path / "out", "--score-threshold", 1)
    found = document(tmp_path / "out")
    assert found["annotations"] == []
    assert [each["name"] for each in found["categories"]] == ["bright", "dark"]
    assert len(load_coco(tmp_path / "out").images) == 1


def test_equal_names_in_two_folders_are_kept_apart(
    command: Command, document: Document, tmp_path: Path
) -> None:
    for folder, grey in (("one", 40), ("two", 200)):
        (tmp_path / folder / "films").mkdir(parents=True)
        (tmp_path / folder / "films" / "a.png").write_bytes(png(flat(grey, 400, 400)))
    out = tmp_path / "out"
    form = "coco,overlay,label-map"
    assert command(tmp_path / "one", tmp_path / "two", "--out", out, "--format", form) == 0
    images = document(out)["images"]
    names = [image["file_name"] for image in images]
    assert names == ["../one/films/a.png", "../two/films/a.png"]
    assert [middle(out / image["overlay"]) for image in images] == [40, 200]
    assert len({image["label_map"] for image in images}) == 2


def test_a_label_map_numbers_the_annotations_of_its_image(
    command: Command, document: Document, tmp_path: Path
) -> None:
    (tmp_path / "a.dcm").write_bytes(dicom_file(chest()))
    out = tmp_path / "out"
    command(tmp_path / "a.dcm", "--out", out, "--format", "coco,label-map")
    found = document(out)
    path = out / found["images"][0]["label_map"]
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    expected = np.zeros((70, 60), np.uint8)
    for number, annotation in reversed(list(enumerate(found["annotations"], 1))):
        expected[coco_mask.decode(annotation["segmentation"]) > 0] = number
    np.testing.assert_array_equal(labels, expected)
    assert PATIENT_NAME.encode() not in path.read_bytes()
    assert b"Research use only" in path.read_bytes()


def test_all_frames_are_images_of_their_own(
    command: Command, document: Document, tmp_path: Path
) -> None:
    (tmp_path / "a.dcm").write_bytes(frames(3))
    (tmp_path / "b.png").write_bytes(png(flat(9, 400, 400)))
    words = [tmp_path / "a.dcm", tmp_path / "b.png", "--format", "coco,overlay"]
    assert command(*words, "--out", tmp_path / "first") == 0
    assert [image["frame"] for image in document(tmp_path / "first")["images"]] == [0, 0]
    assert command(*words, "--out", tmp_path / "all", "--frame", "all") == 0
    found = document(tmp_path / "all")
    assert [(image["frame"], image["frames"]) for image in found["images"]] == [
        (0, 3), (1, 3), (2, 3), (0, 1),
    ]  # fmt: skip
    greys = [middle(tmp_path / "all" / image["overlay"]) for image in found["images"]]
    assert greys == [0, 60, 120, 9]
    assert len(load_coco(tmp_path / "all").images) == 4


@pytest.mark.parametrize(
    "name", ["-rf.png", "Ärztin Müller.png", "two\nlines.png", "x" * 251 + ".png", "\udcff.png"]
)
def test_odd_names_are_only_names(
    name: str, command: Command, document: Document, tmp_path: Path
) -> None:
    folder, out = tmp_path / "films", tmp_path / "out"
    folder.mkdir()
    (folder / name).write_bytes(png(flat(30)))
    assert command(folder, "--out", out, "--format", "coco,overlay,label-map") == 0
    image = document(out)["images"][0]
    assert (out / image["file_name"]).samefile(folder / name)
    assert load_coco(out).images[0].path.samefile(folder / name)
    for picture in (image["overlay"], image["label_map"]):
        assert picture.isprintable()
        assert (out / picture).resolve().is_relative_to(out)
        assert cv2.imread(str(out / picture)) is not None


def test_without_coco_there_is_no_document(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(flat(9)))
    assert command(tmp_path / "a.png", "--out", tmp_path / "out", "--format", "overlay") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"journal.jsonl", "overlays"}


def test_a_link_to_the_results_folder_does_not_mislead_names(
    command: Command, document: Document, tmp_path: Path
) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "far" / "away")
    (tmp_path / "a.png").write_bytes(png(flat(9)))
    assert command(tmp_path / "a.png", "--out", tmp_path / "out") == 0
    assert document(tmp_path / "out")["images"][0]["file_name"] == "../../a.png"
    assert load_coco(tmp_path / "out").images[0].path.samefile(tmp_path / "a.png")


def test_another_model_is_refused(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(png(flat(9)))
    other = write_tiny_model(tmp_path / "other.onnx", manifest(version="2"))
    words = [tmp_path / "a.png", "--out", tmp_path / "out"]
    assert command(*words) == 0
    before = (tmp_path / "out" / "annotations.json").read_bytes()
    assert command(*words, "--model", other) == 2
    assert "another model: choose another --out" in capsys.readouterr().err
    assert command(*words, "--score-threshold", 0.9) == 2
    assert "other options: choose another --out (" in (told := capsys.readouterr().err)
    assert " there, " in told
    assert "null" not in told
    assert (tmp_path / "out" / "annotations.json").read_bytes() == before
    assert json.loads(before)["info"]["model"]["version"] == "1"


def test_films_that_the_model_does_not_know_are_counted(
    document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    model = write_tiny_model(tmp_path / "tiny.onnx", fitted())

    def run() -> str:
        words = (films, "--out", out, "--model", model, "--provider", "cpu")
        assert main([*map(str, words)], sandbox=None) == 0
        return capsys.readouterr().err

    for grey in (20, 60, 200):
        (films / f"{grey:03}.png").write_bytes(png(flat(grey)))
    assert "3 segmented, 0 refused, 1 out of distribution: " in run()
    told = [image["out_of_distribution"] for image in document(out)["images"]]
    assert [each["flagged"] for each in told] == [False, False, True]
    assert [each["score"] for each in told] == pytest.approx(
        [expected_distance(grey / 255) for grey in (20, 60, 200)], rel=1e-4
    )
    (films / "250.png").write_bytes(png(flat(250)))
    assert "1 segmented, 3 done before, 0 refused, 2 out of distribution: " in run()


def test_dicom_objects_lie_beside_the_document(
    document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_tiny_model(tmp_path / "coded.onnx", coded_manifest())
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    (films / "a.dcm").write_bytes(hospital_film(chest()))
    (films / "b.png").write_bytes(png(chest(50, 90)))
    words = ["--model", str(model), "--provider", "cpu", "--format", "coco,seg,gsps,sc"]
    assert main([str(films), "--out", str(out), *words], sandbox=None) == 0
    first, second = document(out)["images"]
    found = {kind: pydicom.dcmread(out / first[kind]) for kind in ("seg", "gsps", "sc")}
    assert [one.Modality for one in found.values()] == ["SEG", "PR", "OT"]
    areas = np.reshape(found["seg"].pixel_array, (-1, 70 * 60)).sum(axis=1)
    annotations = [one for one in document(out)["annotations"] if one["image_id"] == first["id"]]
    assert areas.tolist() == [one["area"] for one in annotations]
    assert not {"seg", "gsps", "sc"} & second.keys()
    told = capsys.readouterr().err
    assert "b.png: a DICOM object refers to a DICOM film" in told
    assert "1 without a DICOM object" in told
    assert IDENTITY["PatientID"] not in told + (out / "journal.jsonl").read_text()


def test_a_film_without_findings_is_segmented_and_has_no_object(
    document: Document, tmp_path: Path
) -> None:
    model = write_tiny_model(tmp_path / "coded.onnx", coded_manifest())
    film, out = tmp_path / "a.dcm", tmp_path / "out"
    film.write_bytes(hospital_film(chest()))
    words = ["--model", str(model), "--provider", "cpu", "--format", "coco,seg"]
    given = [str(film), "--out", str(out), "--score-threshold", "1", *words]
    assert main(given, sandbox=None) == 0
    assert len(document(out)["images"]) == 1
    assert not (out / "seg").exists()
