"""COCO documents of one film, as a person posts them beside it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

Mask = npt.NDArray[np.bool_]


def rle(mask: Mask) -> dict[str, Any]:
    """Compressed run lengths as pycocotools writes them."""
    encoded: dict[str, Any] = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


def annotation(mask: Mask, category_id: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 9, "category_id": category_id, "segmentation": rle(mask), **more}


def document(size: tuple[int, ...], *annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A document of a film [height, width], with the tiny model's categories by other numbers."""
    return {
        "categories": [{"id": 1, "name": "bright"}, {"id": 2, "name": "dark"}],
        "images": [{"id": 9, "file_name": "film", "height": size[0], "width": size[1]}],
        "annotations": list(annotations),
        **more,
    }


def written(content: object) -> bytes:
    return json.dumps(content).encode()
