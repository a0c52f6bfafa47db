"""Layouts with faults: what is dropped, what is refused, and in which words."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.gather.__main__ import main
from tests.support.dicom import dicom_file
from tests.support.exports import (
    SHAPES,
    SIZE,
    coco,
    film,
    gathered,
    label_map,
    labelme,
    mask_of,
    put_films,
    put_png,
    put_text,
    put_yolo,
    truth,
    yolo_line,
)
from tests.support.gathered import FILM_A, bomb, dropped, refused

BOLT = SHAPES["a"][0][1]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("0 0.5 0.5 0.2 0.2", "it is a box, without an outline"),
        ("0 0.1 0.1 0.2 0.1 0.2", "it has 6 words"),
        ("0 0.1 0.1 0.2", "it has 4 words"),
        ("0", "it has 1 words"),
        ("7 .1 .1 .2 .1 .2 .2", "it is of class 7, which has no name"),
        ("-1 .1 .1 .2 .1 .2 .2", "it is of class -1"),
        ("0.5 .1 .1 .2 .1 .2 .2", "a class that is none"),
        ("bolt .1 .1 .2 .1 .2 .2", "something other than numbers"),
        ("0 .1 .1 .2 nan .2 .2", "not finite"),
        ("0 .1 .1 .2 inf .2 .2", "not finite"),
        ("1e400 .1 .1 .2 .1 .2 .2", "not finite"),
        ("0 .1 .1 .2 1e300 .2 .2", "not finite"),
        ("0 10 10 20 10 20 20", "no parts of the film's width and height"),
        ("0 .1 .1 .2 .1 .3 .1", "encloses no area"),
        ("\0\0\0", "it has 1 words"),
        ("0 1.1 1.1 1.2 1.1 1.2 1.2", "outside the image"),
    ],
)
def test_lines_of_yolo(
    line: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_yolo(tmp_path / "a" / "images", tmp_path / "a" / "labels", "a")
    put_text(tmp_path / "a" / "data.yaml", "names: [bolt, nut]")
    with (tmp_path / "a" / "labels" / "a.txt").open("a") as file:
        file.write(f"\n{line}\n")
    ((films, objects, text),) = dropped(tmp_path / "a", capsys)
    assert (films, objects) == (0, -1)
    assert sentence in text


@pytest.mark.long
def test_a_polygon_of_a_million_points(tmp_path: Path) -> None:
    put_yolo(tmp_path / "a" / "images", tmp_path / "a" / "labels", "a")
    put_text(tmp_path / "a" / "data.yaml", "names: [bolt, nut]")
    angle = np.linspace(0, 2 * np.pi, 10**6, endpoint=False)
    points = np.stack([0.5 + 0.3 * np.cos(angle), 0.5 + 0.3 * np.sin(angle)], 1).ravel()
    line = "0 " + " ".join(map(str, points.tolist()))
    put_text(tmp_path / "a" / "labels" / "a.txt", line)
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    ((_, _, mask),) = gathered(tmp_path / "out")
    assert np.frombuffer(mask, bool).sum() == pytest.approx(
        np.pi * 0.09 * SIZE[0] * SIZE[1], rel=0.02
    )


def test_films_without_labels_show_nothing_and_labels_without_films_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_yolo(tmp_path / "a" / "images", tmp_path / "a" / "labels", "a")
    put_films(tmp_path / "a" / "images", "x")
    put_text(tmp_path / "a" / "labels" / "lost.txt", yolo_line(0, BOLT))
    put_text(tmp_path / "a" / "data.yaml", "names: [bolt, nut]")
    ((films, objects, text),) = dropped(tmp_path / "a", capsys)
    assert (films, objects) == (-1, -1)
    assert "'labels/lost.txt' has no film" in text
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert len(document["images"]) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("names: [no, Yes]", ""),
        ("names: {0: bolt, 2: nut}", "not numbered from 0 on"),
        ("names: bolt", "no list of names"),
        ("names: [[bolt], nut]", "no list of names"),
        ("names: [bolt, nut]\nkpt_shape: [17, 3]", "is of key points"),
        ("names: [bolt, bolt]", "have one name twice"),
        ("names: [bolt, Bolt]", "differ by case"),
        ("names: ['', nut]", "has no 'name' in letters"),
        ("names: !!python/object/apply:os.system ['false', '-1']", ""),
        ("names: &a [*a]", "holds no JSON file"),
        ("names: [" + "[" * 5000, "holds no JSON file"),
        ("names: [bolt, nut]\ntrain: ../../../../../etc\nval: /etc/passwd", ""),
    ],
)
def test_configurations_of_yolo(
    text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_yolo(tmp_path / "a" / "images", tmp_path / "a" / "labels", "a")
    put_text(tmp_path / "a" / "data.yaml", text)
    if sentence:
        assert sentence in refused(tmp_path / "a", capsys)
    else:
        assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
        names = {name for _, name, _ in gathered(tmp_path / "out")}
        assert names in ({"no", "Yes"}, {"bolt", "nut"}, {"false", "-1"})


def test_films_that_tools_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their outlines are in coordinates of the turned film, which nothing else shows."""
    tag = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"
    body = b"eXIf" + tag
    chunk = struct.pack(">I", len(tag)) + body + struct.pack(">I", zlib.crc32(body))
    for layout in ("yolo", "labelme", "coco"):
        source = tmp_path / layout / "a"
        if layout == "yolo":
            put_yolo(source / "images", source / "labels", "ab")
            put_text(source / "data.yaml", "names: [bolt, nut]")
        else:
            put_films(source, "ab")
        if layout == "labelme":
            for name in "ab":
                put_text(source / f"{name}.json", labelme(name))
        if layout == "coco":
            put_text(source / "annotations.json", coco("ab"))
        (path,) = source.rglob("b.png")
        content = path.read_bytes()
        path.write_bytes(content[:33] + chunk + content[33:])
        if layout == "coco":  # which has sizes, and mostly tools that do not turn films
            assert main([str(source), "--out", str(source.with_name("out"))]) == 0
            assert "have an EXIF orientation" in capsys.readouterr().out
        else:
            ((films, objects, text),) = dropped(source, capsys)
            assert (films, objects) == (-1, -1)
            assert "an EXIF orientation" in text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (bomb((30_000, 30_000)), "it is of 30000 x 30000 pixels, not 48 x 64"),
        (bomb(SIZE), "its data are damaged"),
        (b"", "it is no PNG file"),
        (cv2.imencode(".jpg", film("b"))[1].tobytes(), "it is no PNG file"),
    ],
)
def test_masks_that_cannot_be_read(
    content: bytes, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_films(tmp_path / "a" / "images", "a")
    for label, box in SHAPES["a"]:
        put_png(tmp_path / "a" / "masks" / label / "a.png", mask_of(box) * np.uint8(255))
    (tmp_path / "a" / "masks" / "bolt" / "a_2.png").write_bytes(content)
    ((films, objects, text),) = dropped(tmp_path / "a", capsys)
    assert (films, objects) == (0, -1)
    assert sentence in text


def test_films_without_masks_and_masks_without_films(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_films(tmp_path / "a" / "images", "axy")
    for label, box in SHAPES["a"]:
        put_png(tmp_path / "a" / "masks" / label / "a.png", mask_of(box) * np.uint8(255))
    put_png(tmp_path / "a" / "masks" / "bolt" / "y.png", np.zeros(SIZE, np.uint8))
    put_png(tmp_path / "a" / "masks" / "bolt" / "z.png", label_map("a"))
    rows = dropped(tmp_path / "a", capsys)
    assert sorted(row[:2] for row in rows) == [(-1, 0), (0, -1)]
    assert "has no mask: a film without objects needs one that is all 0" in str(rows)
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [entry["file_name"] for entry in document["images"]] == ["images/a.png", "images/y.png"]


def test_masks_with_soft_edges_are_one_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_films(tmp_path / "a" / "images", "a")
    for label, box in SHAPES["a"]:
        soft = cv2.GaussianBlur(mask_of(box) * np.uint8(255), (3, 3), 0)
        put_png(tmp_path / "a" / "masks" / label / "a.png", soft)
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    for (_, name, mask), (_, same, exact) in zip(gathered(tmp_path / "out"), FILM_A, strict=True):
        assert name == same
        found, wanted = np.frombuffer(mask, bool), np.frombuffer(exact, bool)
        assert (found ^ wanted).sum() <= 4  # the corners
    assert "soft edges" in capsys.readouterr().out


def test_class_pictures_alone_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_films(tmp_path / "a" / "JPEGImages")
    put_png(tmp_path / "a" / "SegmentationClass" / "a.png", label_map("a"))
    assert "export it with SegmentationObject" in refused(tmp_path / "a", capsys)


def test_layouts_side_by_side_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_yolo(tmp_path / "a" / "images", tmp_path / "a" / "labels")
    put_text(tmp_path / "a" / "data.yaml", "names: [bolt, nut]")
    put_text(tmp_path / "a" / "annotations.json", coco())
    said = refused(tmp_path / "a", capsys)
    assert "may be COCO (annotations.json) or YOLO (data.yaml): give a folder" in said
    for file in ("annotations.json", "data.yaml"):
        assert main([str(tmp_path / "a" / file), "--out", str(tmp_path / f"out-{file}")]) == 0
        assert gathered(tmp_path / f"out-{file}") == truth()


@pytest.mark.parametrize("layout", ["yolo", "labelme", "masks"])
def test_nothing_to_train_on(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a"
    put_films(source / "images", "a")
    if layout == "yolo":
        put_text(source / "labels" / "a.txt", "0 .5 .5 .1 .1")
        put_text(source / "data.yaml", "names: [bolt, nut]")
    elif layout == "labelme":
        put_text(source / "images" / "a.json", labelme("a", shapes=[]))
    else:
        put_png(source / "masks" / "a.png", np.zeros(SIZE, np.uint8))
    said = refused(source, capsys)
    assert "No image shows an object" in said or "the data set has no categories" in said
    assert layout != "yolo" or "a line of 'labels/a.txt': it is a box, without an outline" in said


def test_what_is_no_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_films(tmp_path / "a")
    said = refused(tmp_path / "a", capsys)
    assert "holds no JSON file of annotations; nor labelme's files, YOLO's data.yaml" in said
    assert "neither a folder nor a file" in refused(tmp_path / "nowhere", capsys)


def test_dicom_films_of_any_name_have_masks(tmp_path: Path) -> None:
    films, masks = tmp_path / "a" / "images", tmp_path / "a" / "masks" / "bolt"
    put_png(masks / "1.2.840.113.png", label_map("b"))
    films.mkdir()
    (films / "1.2.840.113").write_bytes(dicom_file(film("b").astype(np.uint16) * 16))
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    ((_, name, mask),) = gathered(tmp_path / "out")
    assert (name, mask) == ("bolt", mask_of(SHAPES["b"][0][1]).tobytes())


@pytest.mark.parametrize("ending", [".jpg", ".tif", ".bmp", ".gif", ".webp"])
def test_masks_in_another_format_are_one_sentence(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_films(tmp_path / "a" / "images", "ab")
    (tmp_path / "a" / "logo.bmp").touch()
    masks = [put_png(tmp_path / "a" / "masks" / f"{name}.png", label_map(name)) for name in "ab"]
    other = masks[1].with_suffix(ending)
    gif = b"GIF89a\x40\0\x30\0\0\0\0;"
    other.write_bytes(
        gif if ending == ".gif" else cv2.imencode(ending, label_map("b"))[1].tobytes()
    )
    masks[1].unlink()
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out"), "--class", "bolt"]) == 0
    assert gathered(tmp_path / "out")
    said = capsys.readouterr().out
    assert f"'images/b.png': its mask 'masks/b{ending}' is no PNG file: save it as PNG" in said
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert len(document["images"]) == 1  # b would have been trained on as a film without objects

    masks[0].unlink()
    shutil.rmtree(tmp_path / "out")
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out"), "--class", "bolt"]) == 1
    said = capsys.readouterr().err
    assert f"masks have to be PNG files, whose values are exact. masks/b{ending} is none" in said
    assert said.count("PNG files") == 1
