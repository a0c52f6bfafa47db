"""Layouts of annotation tools: the same shapes arrive, whatever wrote them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from datasets.gather.__main__ import main
from model.data.coco import load_coco
from model.data.radiograph import read_radiograph
from model.training.trainer import Trainer
from tests.support.exports import (
    SHAPES,
    coco,
    encoded,
    film,
    gathered,
    label_map,
    labelme,
    mask_of,
    put_films,
    put_palette,
    put_png,
    put_text,
    put_yolo,
    renamed,
    truth,
)
from tests.support.tiny import seeded, tiny_preset

YAML = "names: [bolt, nut]\nnc: 2\n"


def cvat(folder: Path) -> None:
    put_text(folder / "annotations" / "instances_default.json", coco(crowd=True))
    put_films(folder / "images" / "default")


def original_coco(folder: Path) -> None:
    put_text(folder / "annotations" / "instances_train2017.json", coco())
    put_text(folder / "annotations" / "captions_train2017.json", {"images": [], "annotations": []})
    put_films(folder / "train2017")


def fiftyone(folder: Path) -> None:
    put_text(folder / "labels.json", coco())
    put_films(folder / "data")


def label_studio(folder: Path) -> None:
    document = coco()
    for entry in document["images"]:
        entry["file_name"] = f"images/{entry['file_name']}"
    put_text(folder / "result.json", document)
    put_films(folder / "images")


def label_studio_on_windows(folder: Path) -> None:
    document = coco()
    for entry in document["images"]:
        entry["file_name"] = f"images/..\\upload\\1\\{entry['file_name']}"
    put_text(folder / "result.json", document)
    put_films(folder / "images")


def coco_below_folders(folder: Path) -> None:
    put_text(folder / "all" / "annotations" / "instances.json", coco())
    put_films(folder / "all" / "images")


def via(folder: Path) -> None:
    document = coco()
    for entry in document["images"]:
        entry["id"] = f"{entry['file_name']}{entry['id']}00"
    for entry in document["annotations"]:
        entry["image_id"] = f"{'_abc'[entry['image_id']]}.png{entry['image_id']}00"
        entry["segmentation"] = entry["segmentation"][0]
        entry["category_id"] = str(entry["category_id"])
    put_text(folder / "via_export_coco.json", document)
    put_films(folder)


def yolo(folder: Path) -> None:
    put_yolo(folder / "images", folder / "labels")
    put_text(folder / "data.yaml", YAML)


def yolo_of_cvat(folder: Path) -> None:
    put_yolo(folder / "images" / "train", folder / "labels" / "train")
    names = "names:\n  0: bolt\n  1: nut\npath: .\ntrain: train.txt\n"
    put_text(folder / "data.yaml", names)
    lines = [f"data/images/train/{name}.png" for name in SHAPES]
    put_text(folder / "train.txt", "\n".join(lines))


def yolo_of_fiftyone(folder: Path) -> None:
    put_yolo(folder / "images" / "validation", folder / "labels" / "validation")
    names = "names:\n  0: bolt\n  1: nut\npath: /home/me\nvalidation: ./images/validation/\n"
    put_text(folder / "dataset.yaml", names)


def yolo_of_which_a_path_leads_nowhere(folder: Path) -> None:
    for split, names in (("train", "ab"), ("valid", "c")):
        put_yolo(folder / "images" / split, folder / "labels" / split, names)
    put_text(folder / "data.yaml", f"{YAML}train: images/train\nval: ../older/images\n")


def yolo_of_label_studio(folder: Path) -> None:
    put_yolo(folder / "images", folder / "labels")
    put_text(folder / "classes.txt", "bolt\nnut\n")
    put_text(folder / "notes.json", {"categories": [], "info": {}})


def labelme_beside(folder: Path) -> None:
    put_films(folder)
    for name in SHAPES:
        put_text(folder / f"{name}.json", labelme(name))


def labelme_of_x_anylabeling(folder: Path) -> None:
    """Its rectangles have four points."""
    put_films(folder)
    for name in SHAPES:
        content = labelme(name, version="2.4.4")
        for shape in content["shapes"]:
            shape["shape_type"] = "rectangle"
        put_text(folder / f"{name}.json", content)


def labelme_embedded(folder: Path) -> None:
    for name in SHAPES:
        put_text(folder / f"{name}.json", labelme(name, imageData=encoded(film(name))))


def labelme_elsewhere(folder: Path) -> None:
    put_films(folder / "films")
    for name in SHAPES:
        path = f"..\\films\\{name}.png"
        put_text(folder / "json" / f"{name}.json", labelme(name, imagePath=path))


def masks_by_folder_and_number(folder: Path) -> None:
    put_films(folder / "images")
    for name, shapes in SHAPES.items():
        for number, (label, box) in enumerate(shapes):
            path = folder / "masks" / label / f"{name}_{number}.png"
            put_png(path, mask_of(box) * np.uint8(255))


def masks_by_suffix(folder: Path) -> None:
    put_films(folder / "images")
    for name, shapes in SHAPES.items():
        for number, (label, box) in enumerate(shapes):
            path = folder / "masks" / f"{name}_{label}_{number}.png"
            put_png(path, mask_of(box) * np.uint8(255))


def masks_in_a_folder_a_film(folder: Path) -> None:
    put_films(folder / "images")
    for name, shapes in SHAPES.items():
        for number, (label, box) in enumerate(shapes):
            path = folder / "masks" / name / f"{label}-{number}.png"
            put_png(path, mask_of(box) * np.uint8(1))


def label_maps_by_class(folder: Path) -> None:
    put_films(folder / "images")
    for name, shapes in SHAPES.items():
        for label in ("bolt", "nut"):
            values = np.zeros((48, 64), np.uint16)
            for number, (own, box) in enumerate(shapes, 300):
                values[mask_of(box)] = number if own == label else 0
            put_png(folder / "masks" / label / f"{name}.png", values)


def voc(folder: Path) -> None:
    """As CVAT writes it: colours, whose names are in a file."""
    put_films(folder / "JPEGImages")
    put_text(
        folder / "labelmap.txt",
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nbolt:250,50,83::\nnut:5,60,255::\n",
    )
    for name, shapes in SHAPES.items():
        objects, classes = (np.zeros((48, 64, 3), np.uint8) for _ in range(2))
        for number, (label, box) in enumerate(shapes, 1):
            objects[mask_of(box)] = (0, 0, 128) if number == 1 else (0, 128, 0)
            classes[mask_of(box)] = (83, 50, 250) if label == "bolt" else (255, 60, 5)
        objects[0] = classes[0] = (192, 224, 224)  # the rim that belongs to nothing
        put_png(folder / "SegmentationObject" / f"{name}.png", objects)
        put_png(folder / "SegmentationClass" / f"{name}.png", classes)


def voc_of_labelme(folder: Path) -> None:
    """Palettes, whose entries have names in their order; pictures for people beside."""
    put_films(folder / "JPEGImages")
    put_text(folder / "class_names.txt", "__ignore__\n_background_\nbolt\nnut\n")
    palette = {1: (128, 0, 0), 2: (0, 128, 0), 255: (224, 224, 192)}
    for name, shapes in SHAPES.items():
        classes = np.zeros((48, 64), np.uint8)
        for label, box in shapes:
            classes[mask_of(box)] = 1 + (label == "nut")
        objects = label_map(name)
        objects[-1] = classes[-1] = 255
        put_palette(folder / "SegmentationObject" / f"{name}.png", objects, palette)
        put_palette(folder / "SegmentationClass" / f"{name}.png", classes, palette)
        for folder_name in ("SegmentationObjectVisualization", "SegmentationClassVisualization"):
            put_png(folder / folder_name / f"{name}.png", film(name))


LAYOUTS = [
    cvat, original_coco, fiftyone, label_studio, label_studio_on_windows, coco_below_folders, via,
    yolo, yolo_of_cvat, yolo_of_label_studio, labelme_of_x_anylabeling,
    labelme_beside, labelme_embedded, labelme_elsewhere, masks_by_folder_and_number,
    masks_by_suffix, masks_in_a_folder_a_film, label_maps_by_class, voc, voc_of_labelme,
]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("make", LAYOUTS)
def test_the_same_shapes_arrive(
    make: Callable[[Path], None], packed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "export", tmp_path / "out"
    make(source)
    if packed:
        with ZipFile(tmp_path / "export.zip", "w") as archive:
            for path in sorted(source.rglob("*.*")):
                archive.write(path, Path("project") / path.relative_to(source))
        shutil.rmtree(source)
        source = tmp_path / "export.zip"
    assert main([str(source), "--out", str(out)]) == 0
    assert gathered(out) == truth()
    said = capsys.readouterr().out
    rows = [line.split(maxsplit=3) for line in said.splitlines()[1:3]]
    assert [row[:2] for row in rows] == [["3", "5"], ["3", "5"]]
    for record in load_coco(out).images:
        assert np.array_equal(read_radiograph(record), film(record.path.name.partition(".")[0]))


@pytest.mark.parametrize("make", [yolo_of_fiftyone, yolo_of_which_a_path_leads_nowhere])
def test_films_of_every_split_of_yolo(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "a")
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    files = (tmp_path / "out").rglob("annotations.json")
    assert sorted(one for path in files for one in gathered(path.parent)) == truth()


def test_semantic_masks_of_roboflow_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_films(tmp_path / "a" / "train", "a")
    put_png(tmp_path / "a" / "train" / "a_mask.png", label_map("a"))
    put_text(tmp_path / "a" / "train" / "_classes.csv", "Pixel Value, Class\n1, bolt\n")
    arguments = [str(tmp_path / "a"), "--out", str(tmp_path / "out"), "--class", "part"]
    assert main(arguments) == 1
    assert "export it as COCO segmentation" in capsys.readouterr().err


def test_masks_that_are_no_png_are_told_where_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_films(tmp_path / "a" / "images", "a")
    put_png(tmp_path / "a" / "masks" / "bolt" / "a.jpg", label_map("a"))
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 1
    assert "masks have to be PNG files" in capsys.readouterr().err


def test_masks_of_which_nothing_says_the_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_films(tmp_path / "a" / "images")
    for name in SHAPES:
        put_png(tmp_path / "a" / "masks" / f"{name}.png", label_map(name))
    arguments = [str(tmp_path / "a"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert "such as masks/a.png, but nothing says of which class" in capsys.readouterr().err
    assert main([*arguments, "--class", "part"]) == 0
    assert gathered(tmp_path / "out") == renamed(truth(), bolt="part", nut="part")


def test_brush_masks_are_objects_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cvat(tmp_path / "a")
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "Every object of 'bolt' (3) is marked as a crowd ('iscrowd')" in said
    assert "Every object of 'nut' (2)" in said


def test_crowds_beside_objects_of_their_class_are_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cvat(tmp_path / "a")
    path = tmp_path / "a" / "annotations" / "instances_default.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["iscrowd"] = 0
    put_text(path, document)
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    assert len(gathered(tmp_path / "out")) == 3
    said = capsys.readouterr().out
    assert "Of the objects of 'bolt' 2 are marked as crowds and dropped" in said
    assert "Every object of 'nut' (2)" in said


def test_the_file_of_a_layout_is_a_source_too(tmp_path: Path) -> None:
    yolo(tmp_path / "a")
    assert main([str(tmp_path / "a" / "data.yaml"), "--out", str(tmp_path / "out")]) == 0
    assert gathered(tmp_path / "out") == truth()


@pytest.mark.long
@pytest.mark.parametrize("make", LAYOUTS)
def test_each_layout_trains(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "a")
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    data = load_coco(tmp_path / "out")
    preset = tiny_preset(2, (data.class_names, data.category_ids))
    trainer = Trainer(seeded(preset.model), preset, data, seed=0)
    trainer.run(tmp_path / "checkpoint.pt")
    assert (tmp_path / "checkpoint.pt").is_file()


def test_films_within_files_whose_names_are_alike(tmp_path: Path) -> None:
    for name, file in {"a": "a.1.json", "b": "a.2.json", "c": "a.2.JSON"}.items():
        content = labelme(name, imagePath="lost.png", imageData=encoded(film(name)))
        put_text(tmp_path / "a" / file, content)
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    assert len(gathered(tmp_path / "out")) == len(truth())
    for record in load_coco(tmp_path / "out").images:
        shown = read_radiograph(record) == 180
        drawn = np.zeros_like(shown)
        for item in record.annotations:
            left, top, width, height = map(int, item.outline_box)
            drawn[top : top + height, left : left + width] = True
        assert np.array_equal(shown, drawn)
