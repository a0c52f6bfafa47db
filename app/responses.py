"""An answer in the form that was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from app.http.negotiation import Form
from app.schemas import ImageAnswer, Instance, ModelIdentity, Polygons, UncompressedSegmentation
from solo.contract.manifest import RESEARCH_USE_ONLY
from solo.formats.pictures import label_map, overlay
from solo.masks.polygons import polygons, uncompressed

_OTHERS: Final[dict[Form, Callable[[Instance], Polygons | UncompressedSegmentation]]] = {
    "polygons": polygons,
    "uncompressed-rle": lambda instance: uncompressed(instance.compressed),
}


def rewritten(answer: ImageAnswer, form: Form) -> ImageAnswer:
    """The same answer with its masks in another form of JSON."""
    other = _OTHERS.get(form)
    if other is None:
        return answer
    instances = [
        instance.model_copy(update={"segmentation": other(instance)})
        for instance in answer.instances
    ]
    return answer.model_copy(update={"instances": instances})


def picture(
    answer: ImageAnswer,
    film: npt.NDArray[np.uint8] | None,
    model: ModelIdentity,
    request_id: str,
) -> bytes:
    """The answer as a PNG file.

    Args:
        answer: with compressed masks.
        film: uint8 [height, width] for the overlay, None for the label map.
        model: which answered; named in the file.
        request_id: named in the file.
    """
    about = json.dumps(
        {
            "notice": RESEARCH_USE_ONLY,
            "request_id": request_id,
            "model": model.model_dump(),
            "sha256": answer.sha256,
            "instances": [
                instance.model_dump(include={"label", "category_id", "score", "bbox", "area"})
                for instance in answer.instances
            ],
        }
    )
    return label_map(answer, about) if film is None else overlay(film, answer, about)
