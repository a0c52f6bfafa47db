"""Sources with splits: a data set for each, no film in two of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.gather.__main__ import main
from model.data.coco import load_coco
from tests.support.exports import (
    SHAPES,
    SIZE,
    coco,
    gathered,
    labelme,
    mask_of,
    put_films,
    put_png,
    put_text,
    put_yolo,
    truth,
)

ROBOFLOW_YAML = (
    "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\n"
    "names: ['bolt', 'nut']\n\nroboflow:\n  license: CC BY 4.0\n"
)


def roboflow(folder: Path) -> None:
    for split, name in (("train", "a"), ("valid", "b"), ("test", "c")):
        put_films(folder / split, name)
        put_text(folder / split / "_annotations.coco.json", coco(name))


def original_coco(folder: Path) -> None:
    for split, name in (("train2017", "a"), ("val2017", "b"), ("test2017", "c")):
        put_films(folder / split, name)
        for task in ("instances", "person_keypoints"):
            put_text(folder / "annotations" / f"{task}_{split}.json", coco(name))


def fiftyone(folder: Path) -> None:
    for split, name in (("train", "a"), ("validation", "b"), ("test", "c")):
        put_films(folder / split / "data", name)
        put_text(folder / split / "labels.json", coco(name))


def yolo_of_roboflow(folder: Path) -> None:
    for split, name in (("train", "a"), ("valid", "b"), ("test", "c")):
        put_yolo(folder / split / "images", folder / split / "labels", name)
    put_text(folder / "data.yaml", ROBOFLOW_YAML)


def yolo(folder: Path) -> None:
    for split, name in (("train", "a"), ("val", "b"), ("test", "c")):
        put_yolo(folder / "images" / split, folder / "labels" / split, name)
    lines = ["path: /data/sets/parts", "train: images/train", "val: [images/val]"]
    put_text(
        folder / "parts.yaml", "\n".join([*lines, "test: images/test", "names: {0: bolt, 1: nut}"])
    )


def yolo_without_paths(folder: Path) -> None:
    yolo(folder)
    put_text(folder / "parts.yaml", "names: {0: bolt, 1: nut}")


def labelme_by_folder(folder: Path) -> None:
    for split, name in (("train", "a"), ("val", "b"), ("test", "c")):
        put_films(folder / split, name)
        put_text(folder / split / f"{name}.json", labelme(name))


def voc(folder: Path) -> None:
    root = folder / "VOCdevkit" / "VOC2012"
    put_films(root / "JPEGImages")
    put_text(root / "class_names.txt", "__ignore__\n_background_\nbolt\nnut\n")
    for name, shapes in SHAPES.items():
        objects, classes = (np.zeros(SIZE, np.uint8) for _ in range(2))
        for number, (label, box) in enumerate(shapes, 1):
            objects[mask_of(box)] = number
            classes[mask_of(box)] = 1 + (label == "nut")
        put_png(root / "SegmentationObject" / f"{name}.png", objects)
        put_png(root / "SegmentationClass" / f"{name}.png", classes)
    lists = {"train": "a\n", "val": "b \r\n", "test": "c.png\n", "trainval": "a\nb\n"}
    for split, text in lists.items():
        put_text(root / "ImageSets" / "Segmentation" / f"{split}.txt", text)


@pytest.mark.parametrize(
    "make",
    [
        roboflow,
        original_coco,
        fiftyone,
        yolo_of_roboflow,
        yolo,
        yolo_without_paths,
        labelme_by_folder,
        voc,
    ],
)
def test_each_split_is_a_data_set(
    make: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a")
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    for split, name in (("train", "a"), ("val", "b"), ("test", "c")):
        found = gathered(tmp_path / "out" / split)
        assert found == [entry for entry in truth() if entry[0] == name]
        assert load_coco(tmp_path / "out" / split).class_names == ("bolt", "nut")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["test", "train", "val"]
    said = capsys.readouterr().out
    assert "each a data set in the folder of its name: train 1, val 1, test 1." in said


def test_a_film_of_two_splits_is_validated_on_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, names in (("train", "ab"), ("valid", "bc")):
        put_films(tmp_path / "a" / split, names)
        put_text(tmp_path / "a" / split / "_annotations.coco.json", coco(names, patient_id="p"))
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    for split, names in (("train", "a"), ("val", "bc")):
        assert {film for film, _, _ in gathered(tmp_path / "out" / split)} == set(names)
    said = capsys.readouterr().out
    assert "(val) too, which counts" in said
    assert "Patients with films in several splits: 1." in said


def test_a_corrected_film_stays_in_its_split_and_a_new_one_is_trained_on(tmp_path: Path) -> None:
    roboflow(tmp_path / "a")
    put_films(tmp_path / "b", "bx")
    put_text(tmp_path / "b" / "annotations.json", {**coco("b"), "annotations": []})
    document = coco("b")
    document["annotations"] = []
    document["images"].append({"id": 9, "file_name": "x.png", "height": 48, "width": 64})
    put_text(tmp_path / "b" / "annotations.json", document)
    paths = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert main([*paths, "--out", str(tmp_path / "out")]) == 0
    films = {
        split: {record.path.name: len(record.annotations) for record in load_coco(folder).images}
        for split in ("train", "val", "test")
        for folder in [tmp_path / "out" / split]
    }
    assert films == {"train": {"a.png": 2, "x.png": 0}, "val": {"b.png": 0}, "test": {"c.png": 2}}


def test_deeper_annotations_that_are_passed_over_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roboflow(tmp_path / "a")
    put_films(tmp_path / "a", "a")
    put_text(tmp_path / "a" / "annotations.json", coco("a"))
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "valid/_annotations.coco.json have annotations too and are passed over" in said
    paths = [str(tmp_path / "a" / split) for split in ("train", "valid")]
    assert main([*paths, "--out", str(tmp_path / "b")]) == 0
    assert "passed over" not in capsys.readouterr().out


def test_one_split_by_itself_is_one_data_set(tmp_path: Path) -> None:
    roboflow(tmp_path / "a")
    folders = [str(tmp_path / "a" / split) for split in ("train", "valid", "test")]
    assert main([*folders, "--out", str(tmp_path / "out")]) == 0
    assert gathered(tmp_path / "out") == truth()


def test_splits_without_films_to_train_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, name in (("valid", "b"), ("test", "c")):
        put_films(tmp_path / "a" / split, name)
        put_text(tmp_path / "a" / split / "_annotations.coco.json", coco(name))
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 1
    assert "No film is of the split 'train'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
