from __future__ import annotations

from dataclasses import replace

import numpy as np
from pycocotools import mask as coco_mask

from solo.contract.manifest import RESEARCH_USE_ONLY
from solo.decoding.pixel_spacing import PixelSpacing
from solo.formats.coco import coco_annotations, coco_categories, coco_image, coco_info
from solo.masks.rle import MaskRuns
from solo.result import (
    Instance,
    ModelIdentity,
    OutOfDistribution,
    RadiographInfo,
    Result,
    Timings,
)
from tests.support.engines import manifest

MODEL = ModelIdentity("lungs", "3", "ab" * 32, "CPUExecutionProvider")


def result(spacing: PixelSpacing | None = None, instances: int = 1) -> Result:
    """Of a frame of 3 rows and 4 columns; each instance is rows 1 and 2 of column 1."""
    runs = MaskRuns((3, 4), np.array([4, 2, 6]), 2, (1, 1, 1, 2))
    info = RadiographInfo(3, 4, 1, 2, "window", spacing, "dicom", "1.2.840.10008.1.2")
    found = tuple(Instance("dark", 7, 0.75 - n / 4, runs, 2.5) for n in range(instances))
    return Result(MODEL, "cd" * 32, info, found, Timings(0, 0, 0, 0))


def test_an_image_has_what_is_known_of_it() -> None:
    assert coco_image(result(PixelSpacing(0.2, 0.1, "detector")), 5, "films/a.dcm") == {
        "id": 5,
        "file_name": "films/a.dcm",
        "height": 3,
        "width": 4,
        "frame": 1,
        "frames": 2,
        "sha256": "cd" * 32,
        "pixel_spacing_mm": [0.2, 0.1],
        "pixel_spacing_source": "detector",
    }
    assert not {key for key in coco_image(result(), 5, "a.png") if "spacing" in key}


def test_an_image_says_where_the_model_does_not_know_it() -> None:
    scored = replace(result(), out_of_distribution=OutOfDistribution.of(1.5))
    told = coco_image(scored, 5, "a.png")["out_of_distribution"]
    assert told == {"score": 1.5, "flagged": True}
    assert "out_of_distribution" not in coco_image(result(), 5, "a.png")


def test_annotations_are_numbered_from_the_first_one() -> None:
    first, second = coco_annotations(result(instances=2), 5, 11)
    assert (first["id"], second["id"]) == (11, 12)
    assert (first["score"], second["score"]) == (0.75, 0.5)
    counts = first["segmentation"]["counts"]
    assert isinstance(counts, str)
    assert first | {"segmentation": None} == {
        "id": 11,
        "image_id": 5,
        "category_id": 7,
        "bbox": [1, 1, 1, 2],
        "area": 2,
        "iscrowd": 0,
        "score": 0.75,
        "outline_uncertainty": 2.5,
        "segmentation": None,
    }
    mask = coco_mask.decode({"size": [3, 4], "counts": counts.encode()})
    assert mask.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]]


def test_categories_are_those_of_the_model() -> None:
    assert coco_categories(manifest()) == [{"id": 1, "name": "bright"}, {"id": 7, "name": "dark"}]


def test_the_model_and_the_intended_use_are_told() -> None:
    info = coco_info(MODEL)
    assert info["model"] == {"name": "lungs", "version": "3", "sha256": "ab" * 32}
    assert RESEARCH_USE_ONLY in info["description"]
