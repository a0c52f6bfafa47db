"""Data sets in COCO format: every fault with its sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from model.data.coco import DatasetError, load_coco
from tests.support.coco_folder import (
    DISC,
    SIZE,
    SQUARE,
    Document,
    annotation,
    compressed,
    document,
    image,
    rectangle_mask,
    write_unread,
)

NO_OUTLINE = "it has no 'segmentation': instance segmentation needs an outline"


def faults(folder: Path, content: Document) -> list[str]:
    with pytest.raises(DatasetError) as caught:
        load_coco(write_unread(folder, content))
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_id": 8}, "annotation 70 is of image 8, which is not there"),
        ({"image_id": "8"}, "annotation 70 is of image 8, which is not there"),
        ({"image_id": True}, "annotation 70 has no integer 'image_id'"),
        ({"image_id": 7.5}, "annotation 70 has no integer 'image_id'"),
        ({"image_id": "film 7"}, "annotation 70 has no integer 'image_id'"),
        ({"image_id": [7]}, "annotation 70 has no integer 'image_id'"),
        (
            {"category_id": 1},
            "annotation 70 of image 7: it is of category 1, which is not there",
        ),
        (
            {"category_id": None},
            "annotation 70 of image 7: it is of category None, which is not there",
        ),
        (
            {"category_id": {}},
            "annotation 70 of image 7: it is of category {}, which is not there",
        ),
        ({"iscrowd": "no"}, "annotation 70 of image 7: its 'iscrowd' must be 0 or 1, not 'no'"),
        ({"iscrowd": 2}, "annotation 70 of image 7: its 'iscrowd' must be 0 or 1, not 2"),
        ({"id": None, "image_id": 8}, "annotation number 0 is of image 8, which is not there"),
    ],
)
def test_an_annotation_of_nothing(change: Document, sentence: str, tmp_path: Path) -> None:
    assert faults(tmp_path, document(annotations=[annotation(**change)])) == [sentence]


@pytest.mark.parametrize(
    ("segmentation", "sentence"),
    [
        (None, NO_OUTLINE),
        ([], NO_OUTLINE),
        ([[]], NO_OUTLINE),
        ([[], [1, 1, 5, 5, 9, 1]], "a polygon needs three or more x, y pairs, it has 0 numbers"),
        ([1, 1, 5, 5], "a polygon needs three or more x, y pairs, it has 4 numbers"),
        ([[1, 1], [5, 5]], "a polygon needs three or more x, y pairs, it has 4 numbers"),
        ([[1, 1, 5, 5]], "a polygon needs three or more x, y pairs, it has 4 numbers"),
        ([[1, 1, 5, 5, 9, 1, 3]], "a polygon needs three or more x, y pairs, it has 7 numbers"),
        ([[1, 1, 5, "a", 9, 1]], "a polygon holds something other than numbers"),
        ([[1, 1, 5, [2], 9, 1]], "a polygon holds something other than numbers"),
        ([[1, 1, 5, "7", 9, 1]], "a polygon holds something other than numbers"),
        ([[1, 1, 5, True, 9, 1]], "a polygon holds something other than numbers"),
        ([[[1, 1], [5, "5"], [9, 1]]], "a polygon holds something other than numbers"),
        (["112233"], "a polygon holds something other than numbers"),
        ([None], "a polygon holds something other than numbers"),
        ([[1, 1, 5, 10**400, 9, 1]], "a polygon holds a number that is not finite"),
        ([[1, 1, 5, float("nan"), 9, 1]], "a polygon holds a number that is not finite"),
        ([[1, 1, 5, float("inf"), 9, 1]], "a polygon holds a number that is not finite"),
        ([[1, 1, 5, 5, 9, 9]], "a polygon encloses no area"),
        ([[1, 1, 9, 1, 1, 1]], "a polygon encloses no area"),
        (
            [[10, 10, 60, 60, 60, 10, 10, 60]],
            "a polygon crosses or retraces itself, so that its parts cancel out",
        ),
        (
            [[0.1, 0.1, 60.7, 60.7, 60.7, 0.1, 0.1, 60.7]],
            "a polygon crosses or retraces itself, so that its parts cancel out",
        ),
        ([[100, 1, 120, 1, 120, 9]], "a polygon lies outside the image"),
        ([[1, -9, 5, -9, 5, 0]], "a polygon lies outside the image"),
        ([[1, 1, 9, 1, 9, 9], [1, 81, 9, 81, 9, 90]], "a polygon lies outside the image"),
        (
            {"size": [100, 80], "counts": [8000]},
            "its mask is of size [100, 80], the image is [80, 100]",
        ),
        (
            {"size": ["100", 80.0], "counts": [8000]},
            "its mask is of size ['100', 80.0], the image is [80, 100]",
        ),
        ({"size": 8000, "counts": [8000]}, "its mask is of size 8000, the image is [80, 100]"),
        ({"counts": [8000]}, "its mask is of size None, the image is [80, 100]"),
        ({"size": [80, 100]}, "its mask has no 'counts'"),
        ({"size": [80, 100], "counts": ""}, "its mask has no 'counts'"),
        (
            {"size": [80, 100], "counts": "mä"},
            "its 'counts' are not in COCO's compressed form",
        ),
        ({"size": [80, 100], "counts": [10, 5]}, "its run lengths do not add up to the image"),
        (
            {"size": [80, 100], "counts": [10, -5, 7995]},
            "a run length is no whole number of 0 or more",
        ),
        (
            {"size": [80, 100], "counts": [10, 5.5, 7984.5]},
            "a run length is no whole number of 0 or more",
        ),
        (
            {"size": [80, 100], "counts": [10, True, 7989]},
            "a run length is no whole number of 0 or more",
        ),
        ({"size": [80, 100], "counts": [8000]}, "its mask is empty"),
        (compressed(np.zeros(SIZE, np.uint8, order="F")), "its mask is empty"),
    ],
)
def test_an_outline_that_cannot_be_used(segmentation: Any, sentence: str, tmp_path: Path) -> None:
    content = document(annotations=[annotation(segmentation=segmentation)])
    assert faults(tmp_path, content) == [f"annotation 70 of image 7: {sentence}"]


@pytest.mark.parametrize(
    "counts",
    [
        compressed(rectangle_mask(10, 20, 50, 60))["counts"][:-1],  # cut short
        compressed(rectangle_mask(10, 20, 50, 60))["counts"] + "0",
        "111",
    ],
)
def test_compressed_run_lengths_must_add_up(counts: str, tmp_path: Path) -> None:
    outline = {"size": list(SIZE), "counts": counts}
    (sentence,) = faults(tmp_path, document(annotations=[annotation(segmentation=outline)]))
    assert sentence.startswith("annotation 70 of image 7: ")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (image(file_name="missing.png"), "image 7: there is no file 'missing.png'"),
        (image(file_name=None), "image 7: it has no 'file_name'"),
        (image(height=0), "image 7 has no valid 'height' and 'width'"),
        (image(width=None), "image 7 has no valid 'height' and 'width'"),
        (image(width="100 px"), "image 7 has no valid 'height' and 'width'"),
        (image(width=100.5), "image 7 has no valid 'height' and 'width'"),
        (image(height=True), "image 7 has no valid 'height' and 'width'"),
        (image(width=10**9), "image 7 has no valid 'height' and 'width'"),
        (image(file_name="x" * 5000), f"image 7: there is no file '{'x' * 5000}'"),
        (image(file_name="../"), "image 7: there is no file '../'"),
        (image(patientid=["A"]), "image 7: 'patientid' must be a text or a whole number"),
        (image(patientid="\ud800"), "image 7: 'patientid' must be a text or a whole number"),
        (image(patient_id=float("nan")), "image 7: 'patient_id' must be a text or a whole number"),
        (
            image(pixel_spacing_mm=[0.1, True]),
            "image 7: 'pixel_spacing_mm' must be two lengths above 0",
        ),
        (
            image(pixel_spacing_mm=[0.1, 0]),
            "image 7: 'pixel_spacing_mm' must be two lengths above 0",
        ),
        (image(id=True), "image number 1 has no integer 'id'"),
        (image(id=2**63), "image number 1 has no integer 'id'"),
        (image(id=None), "image number 1 has no integer 'id'"),
        (image(id="7a"), "image number 1 has no integer 'id'"),
        (image(id=float(2**60)), "image number 1 has no integer 'id'"),
        ("film.png", "image number 1 has no integer 'id'"),
        (image(id=1), "image id 1 is used 2 times"),
        (image(id="1"), "image id 1 is used 2 times"),
    ],
)
def test_an_image_that_cannot_be_used(entry: Any, sentence: str, tmp_path: Path) -> None:
    content = document(images=[image(id=1, file_name="b.png"), entry], annotations=[])
    assert faults(tmp_path, content) == [sentence]


def test_an_annotated_image_without_a_size(tmp_path: Path) -> None:
    content = document(images=[image(height=None)])
    assert "image 7 has no valid 'height' and 'width'" in faults(tmp_path, content)


def test_annotations_with_one_id(tmp_path: Path) -> None:
    content = document(annotations=[annotation(), annotation(), annotation(id=71)])
    assert faults(tmp_path, content) == ["annotation id 70 is used 2 times"]


def test_every_fault_of_an_image_is_named(tmp_path: Path) -> None:
    content = document(images=[image(height=0, file_name="missing.png")], annotations=[])
    assert faults(tmp_path, content) == [
        "image 7 has no valid 'height' and 'width'",
        "image 7: there is no file 'missing.png'",
    ]


@pytest.mark.parametrize(
    ("categories", "sentence"),
    [
        ([], "the data set has no categories"),
        (["disc"], "category number 0 has no integer 'id'"),
        ([{"id": DISC, "name": ""}], f"category {DISC} has no 'name' in letters"),
        ([{"id": DISC, "name": "  "}], f"category {DISC} has no 'name' in letters"),
        ([{"id": DISC, "name": 7}], f"category {DISC} has no 'name' in letters"),
        ([{"id": DISC}], f"category {DISC} has no 'name' in letters"),
        (
            [{"id": 1, "name": "lung"}, {"id": 2, "name": "Lung"}, {"id": 3, "name": "lung "}],
            "the category names 'lung', 'Lung', 'lung ' differ by case, blanks or underscores "
            "alone",
        ),
        (
            [{"id": 1, "name": "left lung"}, {"id": 2, "name": "left_lung"}],
            "the category names 'left lung', 'left_lung' differ by case, blanks or underscores "
            "alone",
        ),
        ([{"id": DISC, "name": "a"}] * 3, f"category id {DISC} is used 3 times"),
        ([{"id": 1, "name": "a"}, {"id": 2, "name": "a"}], "category name 'a' is used 2 times"),
        (
            [{"id": key, "name": "a", "supercategory": "a"} for key in (1, 2)],
            "category name 'a' is used 2 times",
        ),
        ([{"id": 4, "name": "\ud800"}], "category 4 has no 'name' in letters"),
        (
            [{"id": 4, "name": "lung\t"}],
            "category 4: the name has the character U+0009, which is not shown: a name is one line "
            "of characters that are; leave it out",
        ),
        ([{"id": True, "name": "a"}], "category number 0 has no integer 'id'"),
    ],
)
def test_categories_that_cannot_be_used(
    categories: list[Any], sentence: str, tmp_path: Path
) -> None:
    assert faults(tmp_path, document(categories=categories, annotations=[])) == [sentence]


def test_a_category_without_a_name_is_there_all_the_same(tmp_path: Path) -> None:
    content = document(categories=[{"id": SQUARE, "name": 7}])
    assert faults(tmp_path, content) == [f"category {SQUARE} has no 'name' in letters"]


def test_one_film_under_two_ids(tmp_path: Path) -> None:
    content = document(images=[image(), image(id=8)])
    assert faults(tmp_path, content) == ["image 8: film.png is the film of image 7 too"]
    frames = [image(id=7, frame=0, frames=3), image(id=8, frame=1, frames=3)]
    films = load_coco(write_unread(tmp_path, document(images=frames))).images
    assert [film.patient for film in films] == ["the one of image 7"] * 2
    content = document(images=[*frames, image(id=9, frame=1, frames=3)])
    assert faults(tmp_path, content) == ["image 9: film.png is the film of image 8 too"]


def test_all_faults_are_named_in_one_go_before_an_image_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("an image was decoded")

    monkeypatch.setattr(cv2, "imread", refuse)
    monkeypatch.setattr(cv2, "imdecode", refuse)
    content = document(
        images=[
            image(),
            image(id=8, file_name="missing.png"),
            image(id=9, file_name="b.png", height=-1),
        ],
        annotations=[
            annotation(segmentation=[[1, 1, 2, 2]]),
            annotation(id=71, category_id=99),
            "nothing",
            annotation(id=73, image_id=99),
        ],
    )
    found = faults(tmp_path, content)
    assert len(found) == 6
    for words in (
        "annotation 70 of image 7: a polygon needs",
        "annotation 71 of image 7: it is of category 99",
        "annotation number 2 is not an object",
        "annotation 73 is of image 99",
        "image 8: there is no file 'missing.png'",
        "image 9 has no valid 'height'",
    ):
        assert sum(sentence.startswith(words) for sentence in found) == 1


def test_a_data_set_without_images(tmp_path: Path) -> None:
    assert faults(tmp_path, document(images=[], annotations=[])) == ["the data set has no images"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{", "annotations.json is not JSON"),
        (b"\xff\xfe", "annotations.json is not JSON"),
        (b"PK\5\6" + bytes(18), "annotations.json is a zip file: python -m datasets.gather"),
        (b"[" * 100_000, "annotations.json is not JSON"),
        (b'{"images": ' + b"1" * 5000 + b"}", "annotations.json is not JSON"),
        (b"[]", "annotations.json holds no JSON object"),
        (
            b'{"images": [], "annotations": {}}',
            "annotations.json has no list 'categories'\nannotations.json has no list 'annotations'",
        ),
    ],
)
def test_a_file_that_is_no_data_set(text: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_bytes(text)
    with pytest.raises(DatasetError) as caught:
        load_coco(tmp_path)
    assert str(caught.value).startswith(sentence)


def test_of_many_faults_of_a_kind_the_first_are_listed(tmp_path: Path) -> None:
    images = [image(id=i, file_name=f"{i}.png") for i in range(5000)]
    images[30]["height"] = 0
    images.append(image(id=5000))  # whose film is there
    found = faults(tmp_path, document(images=images, annotations=[]))
    assert found[:20] == [f"image {i}: there is no file '{i}.png'" for i in range(20)]
    assert found[20:] == [
        "... and 4,980 more faults like the last one",
        "image 30 has no valid 'height' and 'width'",
    ]


def test_a_wrong_folder_of_films_is_one_sentence(tmp_path: Path) -> None:
    images = [image(id=i, file_name=f"of/{i}.png") for i in range(5000)]
    content = document(images=images, annotations=[annotation(image_id=3, category_id=77)])
    for_all, of_annotation = sorted(faults(tmp_path, content), reverse=True)
    assert for_all.startswith("none of the 5,000 films is found; image 0: there is no file")
    assert "Give the folder that holds annotations and films" in for_all
    assert of_annotation.startswith("annotation 70 of image 3")


def test_ids_in_letters_are_one_sentence(tmp_path: Path) -> None:
    images = [image(id=f"film-{i}", file_name=f"{i}.png") for i in range(43)]
    objects = [annotation(id=i, image_id=f"film-{i}") for i in range(43)]
    (sentence,) = faults(tmp_path, document(images=images, annotations=objects))
    assert sentence.startswith("none of the 43 entries of 'images' has an integer 'id'")


def test_polygons_in_parts_of_the_images_size(tmp_path: Path) -> None:
    relative = [annotation(id=i, segmentation=[[0.1, 0.1, 1, 0.1, 0.6, 0.6]]) for i in range(3)]
    (sentence,) = faults(tmp_path, document(annotations=relative))
    assert sentence.startswith("all polygons lie between 0 and 1: ")
    found = load_coco(write_unread(tmp_path, document(annotations=[*relative, annotation()])))
    assert [a.is_relative for a in found.images[0].annotations] == [True, True, True, False]


def test_blanks_around_a_patients_name_mean_nothing(tmp_path: Path) -> None:
    names = ["p 1", " p 1 ", " ", 0]
    images = [
        image(id=id_, file_name=name, patient_id=patient)
        for id_, name, patient in zip(
            (7, 8, 9, 10), ("film.png", "b.png", "c.png", "d.png"), names, strict=True
        )
    ]
    films = load_coco(write_unread(tmp_path, document(images=images))).images
    assert [film.patient for film in films] == ["p 1", "p 1", "the one of image 9", "0"]
