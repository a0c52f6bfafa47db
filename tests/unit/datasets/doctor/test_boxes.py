"""Bounding boxes that contradict their outlines, as the doctor tells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets.doctor.boxes import find_contradicted
from model.data.coco import load_coco
from tests.support.coco_folder import Document, annotation, document, image, write_unread


def ring(left: float, top: float, side: float) -> list[list[float]]:
    right, bottom = left + side, top + side
    return [[left, top, right, top, right, bottom, left, bottom]]


def told(folder: Path, *annotations: Document) -> list[str]:
    content = document(images=[image(height=64, width=64)], annotations=list(annotations))
    return [str(finding) for finding in find_contradicted(load_coco(write_unread(folder, content)))]


@pytest.mark.parametrize(
    ("outline", "box", "said"),
    [
        (ring(8, 8, 12), [8, 8, 12, 12], None),
        (ring(8, 8, 12), [8.4, 8.4, 12, 11], None),
        (ring(8, 8, 2), [7, 7, 4, 4], None),  # rounded outwards
        (ring(8, 8, 12), [8, 8, 0, 0], None),  # says nothing
        (ring(8, 8, 12), [8, 8, "x", 12], None),
        (ring(8, 8, 12), [30, 8, 12, 12], "30, 8, 12, 12 and 8, 8, 12, 12 (x, y, width, height)."),
        (ring(8, 8, 12), [8, 8, 20, 20], "8, 8, 20, 20 and 8, 8, 12, 12 (x, y, width, height)."),
        (
            ring(25, 25, 50),
            [16, 16, 32, 32],
            "16, 16, 32, 32 and 25, 25, 50, 50 (x, y, width, height). In percent of the image's "
            "size they agree, but COCO's are in pixels.",
        ),
        (
            {"size": [64, 64], "counts": [0, 2, 4094]},
            [5, 5, 9, 9],
            "5, 5, 9, 9 and 0, 0, 1, 2 (x, y, width, height).",
        ),
    ],
)
def test_a_bbox_that_contradicts_its_outline_is_told(
    outline: object, box: object, said: str | None, tmp_path: Path
) -> None:
    found = told(tmp_path, annotation(segmentation=outline, bbox=box))
    words = "The bbox of annotation 70 of image 7 and its outline disagree: "
    assert found == ([] if said is None else [f"{words}{said} Images 7."])


def test_many_contradictions_are_one_finding(tmp_path: Path) -> None:
    wrong = {"segmentation": ring(8, 8, 12), "bbox": [40, 8, 12, 12]}
    (sentence,) = told(tmp_path, annotation(id=None, **wrong), annotation(id=5, **wrong))
    assert sentence.startswith(
        "The bbox of annotation without an id of image 7 and its outline disagree, as do those of "
        "1 more: 40, 8, 12, 12 and 8, 8, 12, 12 "
    )
