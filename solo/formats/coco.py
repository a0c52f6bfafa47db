"""COCO: results as the images, annotations and categories of a COCO document.

A document is `{"info", "categories", "images", "annotations"}`; each function makes one part of it.
Annotations have a `score`, so that a list of them is a COCO results list too.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from solo.contract.manifest import RESEARCH_USE_ONLY, Manifest
from solo.result import ModelIdentity, Result

CocoEntry = dict[str, Any]
"""One object of a document, made of what JSON has."""


def coco_info(model: ModelIdentity) -> CocoEntry:
    """COCO's `info`: which model found the instances, and what they may be used for.

    There is no date in it: the same films and model give the same document.
    """
    return {
        "description": f"Instance segmentation of radiographs by {model.name} {model.version}. "
        f"{RESEARCH_USE_ONLY}",
        "version": model.version,
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
    }


def coco_categories(manifest: Manifest) -> list[CocoEntry]:
    """COCO's `categories`: all classes of the model, by their ids in its training data."""
    pairs = zip(manifest.category_ids, manifest.class_names, strict=True)
    return [{"id": category_id, "name": name} for category_id, name in pairs]


def coco_image(result: Result, image_id: int, file_name: str) -> CocoEntry:
    """An entry of COCO's `images`.

    Args:
        result: of one frame.
        image_id: no other image of the document has it.
        file_name: as the document's reader finds the film.

    Returns:
        `height` and `width` in pixels, `frame` from 0 and the number of `frames`, `sha256` of the
        film's bytes; where the film says it, `pixel_spacing_mm` as [between rows, between columns]
        with where it comes from; and, where the model can tell, `out_of_distribution` with `score`
        and `flagged`.
    """
    info = result.radiograph
    image: CocoEntry = {
        "id": image_id,
        "file_name": file_name,
        "height": info.height,
        "width": info.width,
        "frame": info.frame,
        "frames": info.frames,
        "sha256": result.sha256,
    }
    if info.pixel_spacing is not None:
        spacing = info.pixel_spacing
        image["pixel_spacing_mm"] = [spacing.row_mm, spacing.column_mm]
        image["pixel_spacing_source"] = spacing.source
    if result.out_of_distribution is not None:
        image["out_of_distribution"] = asdict(result.out_of_distribution)
    return image


def coco_annotations(result: Result, image_id: int, first_id: int) -> list[CocoEntry]:
    """The entries of one image in COCO's `annotations`, best first.

    Args:
        result: of one frame.
        image_id: of its entry in `images`.
        first_id: of the first annotation; the others follow it.

    Returns:
        `bbox` as [x, y, width, height] and `area` in the image's pixels, `score` in [0, 1],
        `outline_uncertainty` as the library has it, `segmentation` as compressed RLE,
        `{"size": [height, width], "counts": str}`.
    """
    return [
        {
            "id": annotation_id,
            "image_id": image_id,
            "category_id": instance.category_id,
            "bbox": list(instance.bbox),
            "area": instance.area,
            "iscrowd": 0,
            "score": instance.score,
            "outline_uncertainty": instance.outline_uncertainty,
            "segmentation": instance.rle(),
        }
        for annotation_id, instance in enumerate(result.instances, first_id)
    ]
