"""COCO data sets in the page: against what training reads, and what annotation tools write."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from pycocotools import mask as coco_mask

from model.data.coco import load_coco
from tests.page.masks import Mask, counts, decoded, masks, rle

WRITE = """(data) => {
  for (const film of data.films)
    for (const instance of film.instances) instance.runs = runs.decodeCounts(instance.runs);
  return coco.writeCoco(data);
}"""
READ = """(text) => {
  try {
    const data = coco.readCoco(text);
    for (const image of data.images)
      for (const instance of image.instances) instance.runs = runs.encodeCounts(instance.runs);
    return data;
  } catch (error) { return error.message }
}"""
CATEGORIES = [{"id": 3, "name": "lung"}, {"id": 7, "name": "heart"}]
ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"


def _disc(x: int, y: int) -> Mask:
    mask = np.zeros((300, 400), np.uint8)
    cv2.circle(mask, (x, y), 50, (1,), -1)
    return mask > 0


def _film(name: str, *instances: tuple[int, Mask], **more: Any) -> dict[str, Any]:
    found = [{"categoryId": category, "runs": counts(mask)} for category, mask in instances]
    return {"name": name, "height": 300, "width": 400, "instances": found} | more


def test_what_is_written_is_trained_on(modules: Any, tmp_path: Path) -> None:
    films = [
        _film("images/a.png", (7, _disc(120, 90)), (3, np.zeros((300, 400), bool)),
              patient="p1", spacing=[0.2, 0.3]),
        _film("images/b.png"),
        _film("images/c.png", (3, _disc(200, 160)), (7, _disc(300, 60))),
    ]  # fmt: skip
    written = modules.evaluate(
        WRITE, {"films": films, "categories": CATEGORIES, "model": {"name": "m"}}
    )
    (tmp_path / "images").mkdir()
    random = np.random.default_rng(0)
    for name in "abc":
        grey = random.integers(0, 255, (300, 400), np.uint8)
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), grey)
    (tmp_path / "annotations.json").write_text(json.dumps(written))
    data = load_coco(tmp_path)
    assert (data.class_names, data.category_ids) == (("lung", "heart"), (3, 7))
    assert data.images[0].patient == "p1"
    assert [image.spacing_mm for image in data.images] == [(0.2, 0.3), None, None]
    labels = [[item.label for item in image.annotations] for image in data.images]
    assert labels == [[1], [], [0, 1]]
    boxes = [item.box for image in data.images for item in image.annotations]
    assert boxes == [item.outline_box for image in data.images for item in image.annotations]
    rles = [item.rle or {} for image in data.images for item in image.annotations]
    assert decoded(rles[0]["counts"].decode(), (300, 400)).tolist() == _disc(120, 90).tolist()
    assert [entry["id"] for entry in written["annotations"]] == [1, 2, 3]
    assert all(entry["iscrowd"] == 0 for entry in written["annotations"])
    doctor = [sys.executable, "-m", "datasets.doctor", "--preset", "cxr-lungs", "--data"]
    subprocess.run([*doctor, tmp_path], cwd=ROOT, check=True, capture_output=True)


def test_two_films_of_one_name_are_not_written(modules: Any) -> None:
    data = {"films": [_film("a.png"), _film("a.png")], "categories": CATEGORIES, "model": None}
    with pytest.raises(Exception, match="Two films have the same name"):
        modules.evaluate(WRITE, data)


def _document(*outlines: Any, **more: Any) -> dict[str, Any]:
    return {
        "categories": CATEGORIES,
        "images": [
            {"id": 1, "file_name": "a.png", "height": 20, "width": 30, "patientid": 12,
             "pixel_spacing_mm": [0.5, 1]},
            {"id": "2", "file_name": "b.png", "height": "20", "width": 30.0},
        ],
        "annotations": [
            {"id": i + 1, "image_id": 1, "category_id": 7, "segmentation": outline}
            for i, outline in enumerate(outlines)
        ],
    } | more  # fmt: skip


def _read(modules: Any, document: object) -> Any:
    text = document if isinstance(document, str) else json.dumps(document)
    return modules.evaluate(READ, text)


SQUARE = np.zeros((20, 30), bool)
SQUARE[4:10, 5:12] = True
RING = [5, 4, 12, 4, 12, 10, 5, 10]


def _plain(mask: Mask) -> dict[str, Any]:
    flat = np.concatenate([[False], mask.ravel("F"), [not mask[-1, -1]]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": list(mask.shape), "counts": np.diff(edges, prepend=0).tolist()}


@pytest.mark.parametrize(
    "outline",
    [
        rle(SQUARE),
        _plain(SQUARE),
        {"size": ["20", 30.0], "counts": [float(run) for run in _plain(SQUARE)["counts"]]},
        [RING],
        RING,
        np.reshape(RING, (-1, 2)).tolist(),
        [np.reshape(RING, (-1, 2)).tolist()],
        [[5, 4, 12, 4, 12, 7, 5, 7], [5, 7, 12, 7, 12, 10, 5, 10]],
        [[5, 4, 12, 4, 12, 10, 5, 10, 5, 4, 5, 4]],
    ],
)
def test_every_form_of_an_outline_is_read(modules: Any, outline: Any) -> None:
    data = _read(modules, _document(outline))
    assert data["categories"] == CATEGORIES
    first, second = data["images"]
    assert (first["name"], first["height"], first["width"]) == ("a.png", 20, 30)
    assert (first["patient"], first["spacing"]) == ("12", [0.5, 1])
    assert first["instances"] == [{"category": "heart", "categoryId": 7, "runs": counts(SQUARE)}]
    assert (second["height"], second["instances"], second["spacing"]) == (20, [], None)


def test_crowds_and_empty_masks_are_counted(modules: Any) -> None:
    document = _document(RING, {"size": [20, 30], "counts": [600]}, [[0, 0, 0.1, 0, 0, 0.1]])
    document["annotations"][0]["iscrowd"] = True
    data = _read(modules, document)
    assert (data["crowds"], data["empty"], data["images"][0]["instances"]) == (1, 2, [])


@given(mask=masks())
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read(modules: Any, mask: Mask) -> None:
    film = _film("x/1.png", (3, mask)) | {"height": mask.shape[0], "width": mask.shape[1]}
    films = {"films": [film], "categories": CATEGORIES, "model": None}
    data = _read(modules, modules.evaluate(WRITE, films))
    runs = [instance["runs"] for instance in data["images"][0]["instances"]]
    assert runs == ([counts(mask)] if mask.any() else [])


def _with(changes: dict[str, Any], key: str = "annotations") -> dict[str, Any]:
    document = json.loads(json.dumps(_document(RING)))
    document[key][0] |= changes
    return document  # type: ignore[no-any-return]


COUNTS: list[Any] = ["?", "", [599], [700, -100], [None], [], {}]
NO_OUTLINES: list[Any] = [
    *(
        None,
        [],
        [[]],
        {},
        3,
        "x",
        [[1, 2, 3, 4]],
        [["a"] * 6],
        [["5"] * 6],
        [[True] * 6],
        [RING, None],
        [[None] * 6],
    ),
    *({"counts": "0"}, {"size": [20, 31], "counts": [620]}, {"size": {"0": 20}, "counts": [600]}),
    *({"size": [20, 30], "counts": runs} for runs in COUNTS),
]
NO_PATIENTS: list[Any] = [{}, [], 1.5, True]
NO_FLAGS: list[Any] = ["true", 2, {}]
NOT_COCO = [
    *("", "{", "[]", "null", "3", "{}"),
    *(_document(**{key: [None]}) for key in ("images", "categories", "annotations")),
    *(_document(images={}), _document(images=[3]), _document(annotations=["a"])),
    *(_with({"id": key}, "images") for key in (2, None)),
    *(_with({"height": height}, "images") for height in (0, 70000, "x", None)),
    *(_with({"file_name": None}, "images"), _with({"name": " "}, "categories")),
    *(_with({"name": f"a{c}b"}, "categories") for c in ("\u202e", "\n", "\u2028", "\u200d")),
    *(_with({"pixel_spacing_mm": mm}, "images") for mm in ([0, 1], [1, 0], "x")),
    *(_with({"patient_id": who, "patientid": None}, "images") for who in NO_PATIENTS),
    *(_with({"iscrowd": flag}) for flag in NO_FLAGS),
    *(_with({"id": 7}, "categories"), _with({"image_id": 9}), _with({"category_id": 9})),
    *(_with({"segmentation": outline}) for outline in NO_OUTLINES),
]


@pytest.mark.parametrize("document", NOT_COCO)
def test_what_is_not_coco_is_refused_with_a_sentence(modules: Any, document: Any) -> None:
    sentence = _read(modules, document)
    assert isinstance(sentence, str)
    assert sentence.endswith(".")
    assert not re.search("undefined|null|iterable", sentence)


def test_numbers_that_python_writes_are_passed_over(modules: Any) -> None:
    """As the reader of training, which keeps a text that has such a word."""
    document = _document(RING)
    document["annotations"][0] |= {"area": float("nan"), "score": float("-inf")}
    document["images"][1]["file_name"] = "a NaN.png"
    assert _read(modules, document)["images"][1]["name"] == "a NaN.png"


def test_patients_are_those_of_training(modules: Any) -> None:
    for value, expected in ((0, "0"), ("0", "0"), ("", "b"), (None, "b")):
        document = _with({"patientid": value, "patient_id": "b"}, "images")
        assert _read(modules, document)["images"][0]["patient"] == expected


def test_roots_and_the_background_are_no_classes(modules: Any) -> None:
    others = [{"id": 1, "name": "_background_"}, {"id": 0, "name": "x", "supercategory": "x"}]
    categories = [*(entry | {"supercategory": "x"} for entry in CATEGORIES), *others]
    assert _read(modules, _document(RING, categories=categories))["categories"] == CATEGORIES


@pytest.mark.parametrize(
    ("names", "paths", "expected"),
    [
        (["images/a.png"], ["a.png", "images/a.png"], ["images/a.png"]),
        (["images/a.png"], ["s/images/a.png", "s/masks/a.png", "s/a.json"], ["s/images/a.png"]),
        (["a.png"], ["s/images/a.png", "s/a.png", "s/a.json"], ["s/a.png"]),
        (["a.png"], ["images/a.png", "a.png", "annotations/a.json"], ["a.png"]),
        (["x.dcm", "x.dcm"], ["images/x.dcm"], ["images/x.dcm", "images/x.dcm"]),
        (["images\\a.png", "./b.png"], ["images/a.png", "b.png"], ["images/a.png", "b.png"]),
        (["/home/me/a.png"], ["images/a.png"], ["images/a.png"]),
        (["p1/1.png", "p2/1.png"], ["p2/1.png"], [None, "p2/1.png"]),
        (["p1/1.png", "p2/1.png"], ["x/1.png"], [None, None]),
        (["x/a.png"], ["1/a.png", "2/a.png"], [None]),
        (["a.png"], ["ba.png"], [None]),
        (["a.png", "images/a.png"], ["images/a.png"], [None, "images/a.png"]),
        (["a.png", "images/a.png"], ["set/images/a.png"], [None, None]),
        (["Lu\u0308.png"], ["L\u00fc.png"], ["L\u00fc.png"]),
    ],
)
def test_films_are_found_by_path_then_by_name(
    modules: Any, names: list[str], paths: list[str], expected: list[str | None]
) -> None:
    match = "([names, paths]) => coco.matchFiles(names, paths).map((path) => path ?? null)"
    assert modules.evaluate(match, [names, paths]) == expected


@pytest.mark.parametrize("name", ["cxr-lungs", "paediatric-cxr-lungs"])
def test_data_sets_are_read_as_training_reads_them(modules: Any, name: str) -> None:
    files = sorted((DATA / name).glob("*.json"))
    if not files:
        pytest.skip(f"there is no data set {name}")
    data, expected = _read(modules, files[0].read_text()), load_coco(DATA / name)
    assert tuple(entry["name"] for entry in data["categories"]) == expected.class_names
    assert len(data["images"]) == len(expected.images)
    for image, record in zip(data["images"], expected.images, strict=True):
        assert [item["category"] for item in image["instances"]] == [
            expected.class_names[item.label] for item in record.annotations
        ]
        for item, annotation in zip(image["instances"], record.annotations, strict=True):
            mask = {"size": [record.height, record.width], "counts": item["runs"]}
            assert coco_mask.area(mask) == pytest.approx(annotation.area, rel=0.01)
