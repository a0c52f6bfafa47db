"""Data sets in COCO format: what is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from model.data.coco import load_coco
from tests.support.coco_folder import (
    SIZE,
    Document,
    annotation,
    compressed,
    document,
    image,
    rectangle_mask,
    write_unread,
)


def run_lengths(mask: Any) -> Document:
    """The uncompressed form: run lengths down the columns, zeros first."""
    flat = np.concatenate([[0], mask.ravel(order="F"), [2]])
    starts = np.flatnonzero(np.diff(flat)) if flat[1] == 0 else [0, *np.flatnonzero(np.diff(flat))]
    return {"size": list(SIZE), "counts": np.diff([0, *starts]).tolist()}


def test_every_form_of_outline_is_read(tmp_path: Path) -> None:
    mask = rectangle_mask(10, 20, 50, 60)
    outlines = [
        [[20, 10, 60, 10, 60, 50, 20, 50]],
        [[20, 10, 60, 10, 60, 50], [0.5, 0.5, 2.5, 0.5, 2.5, 4]],
        [20, 10, 60, 10, 60, 50, 20, 50],
        [[20, 10], [60, 10], [60, 50], [20, 50]],
        [[[20, 10], [60, 10], [60, 50], [20, 50]], [0.5, 0.5, 2.5, 0.5, 2.5, 4]],
        compressed(mask),
        run_lengths(mask),
        {"size": ["80", 100.0], "counts": [float(run) for run in run_lengths(mask)["counts"]]},
        {"size": [80, 100], "counts": [str(run) for run in run_lengths(mask)["counts"]]},
    ]
    content = document(
        annotations=[annotation(id=i, segmentation=outline) for i, outline in enumerate(outlines)]
    )
    (record,) = load_coco(write_unread(tmp_path, content)).images
    assert [a.area for a in record.annotations] == [
        1600, 803.5, 1600, 1600, 1603.5, 1600, 1600, 1600, 1600,
    ]  # fmt: skip
    assert [len(a.polygons) for a in record.annotations] == [1, 2, 1, 1, 2, 0, 0, 0, 0]
    for index in (0, 2, 3, 4):
        points = record.annotations[index].polygons[0].tolist()
        assert points == [[20, 10], [60, 10], [60, 50], [20, 50]]
    for annotated in record.annotations[5:]:
        np.testing.assert_array_equal(coco_mask.decode(annotated.rle), mask)


def test_labels_follow_the_order_of_the_categories_and_ids_may_have_gaps(tmp_path: Path) -> None:
    content = document(
        categories=[{"id": 90, "name": "wire"}, {"id": 4, "name": "lung"}, {"id": 17, "name": "x"}],
        annotations=[annotation(id=i, category_id=key) for i, key in enumerate((4, 17, 90))],
    )
    data = load_coco(write_unread(tmp_path, content))
    assert data.class_names == ("wire", "lung", "x")
    assert data.category_ids == (90, 4, 17)
    assert [a.label for a in data.images[0].annotations] == [1, 2, 0]


def test_films_without_objects_stay_and_crowds_are_marked(tmp_path: Path) -> None:
    content = document(
        images=[image(), image(id=1, file_name="b.png")],
        annotations=[annotation(iscrowd=1), annotation(id=71, iscrowd=0), annotation(id=72)],
    )
    first, second = load_coco(write_unread(tmp_path, content)).images
    assert [a.is_crowd for a in first.annotations] == [True, False, False]
    assert (second.image_id, second.annotations) == (1, ())
    assert (second.height, second.width) == SIZE


def test_patients_are_read_under_either_name_or_each_film_is_its_own(tmp_path: Path) -> None:
    content = document(
        images=[
            image(id=1, patientid="A"),
            image(id=2, file_name="b.png", patient_id=31),
            image(id=3, file_name="c.png"),
            image(id=4, file_name="d.png"),
        ],
        annotations=[],
    )
    patients = [record.patient for record in load_coco(write_unread(tmp_path, content)).images]
    assert patients[:2] == ["A", "31"]
    assert len(set(patients)) == 4


def test_films_without_a_known_patient_are_not_one_patient(tmp_path: Path) -> None:
    named: list[Document] = [
        {"patientid": None},
        {"patientid": None},
        {"patientid": ""},
        {"patient_id": ""},
    ]
    names = ("film.png", "b.png", "c.png", "d.png")
    entries = [
        {**image(id=key, file_name=names[key]), **patient} for key, patient in enumerate(named)
    ]
    data = load_coco(write_unread(tmp_path, document(images=entries, annotations=[])))
    assert len({record.patient for record in data.images}) == len(named)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_of_json_is_read(encoding: str, tmp_path: Path) -> None:
    folder = write_unread(tmp_path, document())
    path = folder / "annotations.json"
    path.write_bytes(path.read_text().encode(encoding))
    assert len(load_coco(folder).images) == 1


@pytest.mark.parametrize("form", [str, float])
def test_whole_numbers_may_be_texts_or_fractions(
    form: Callable[[int], Any], tmp_path: Path
) -> None:
    content = document(
        categories=[{"id": form(90), "name": "wire"}, {"id": form(4), "name": "lung"}],
        images=[image(id=form(7), height=form(80), width=form(100))],
        annotations=[
            annotation(id=form(1), image_id=form(7), category_id=form(4), iscrowd=form(0)),
            annotation(id=form(2), image_id=7, category_id=90, iscrowd=form(1)),
        ],
    )
    data = load_coco(write_unread(tmp_path, content))
    assert data.category_ids == (90, 4)
    (record,) = data.images
    assert (record.image_id, record.height, record.width) == (7, 80, 100)
    assert [(a.label, a.is_crowd) for a in record.annotations] == [(1, False), (0, True)]


@pytest.mark.parametrize("root", ["lung", "lungs-Xk2"])
def test_a_supercategory_that_nothing_is_annotated_with_is_no_class(
    root: str, tmp_path: Path
) -> None:
    tree = [
        {"id": 0, "name": root, "supercategory": "none"},
        {"id": 1, "name": "lung", "supercategory": root},
        {"id": 2, "name": "wire", "supercategory": root},
    ]
    content = document(categories=tree, annotations=[annotation(category_id=1)])
    data = load_coco(write_unread(tmp_path, content))
    assert (data.class_names, data.category_ids) == (("lung", "wire"), (1, 2))
    assert data.images[0].annotations[0].label == 0


@pytest.mark.parametrize(("key", "name"), [(0, "_background_"), (5, "Background")])
def test_a_background_is_a_class_where_something_is_annotated_with_it(
    key: int, name: str, tmp_path: Path
) -> None:
    categories = [{"id": key, "name": name}, {"id": 1, "name": "lung"}]
    content = document(categories=categories, annotations=[annotation(category_id=1)])
    assert load_coco(write_unread(tmp_path, content)).class_names == ("lung",)
    content["annotations"].append(annotation(id=71, category_id=key))
    assert load_coco(write_unread(tmp_path, content)).class_names == (name, "lung")
    alone = document(categories=categories[:1], annotations=[])
    assert load_coco(write_unread(tmp_path, alone)).class_names == (name,)


def test_a_supercategory_with_annotations_is_a_class(tmp_path: Path) -> None:
    tree = [
        {"id": 1, "name": "lung", "supercategory": "lung"},  # as COCO's person is of itself
        {"id": 2, "name": "nodule", "supercategory": "lung"},
    ]
    content = document(categories=tree, annotations=[annotation(category_id=1)])
    assert load_coco(write_unread(tmp_path, content)).class_names == ("lung", "nodule")
