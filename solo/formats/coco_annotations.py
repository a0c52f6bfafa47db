"""COCO annotations of one film, read from strangers: a person's instances in place of the model's.

What is corrected on the page, or in another tool, becomes a `Result` whose DICOM objects say so.
"""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from solo.contract.manifest import Manifest
from solo.errors import AnnotationError, MalformedError
from solo.masks.compressed import read_compressed
from solo.masks.rle import MaskRuns
from solo.result import AlgorithmType, Instance, ModelIdentity, Result

MOST_INSTANCES: Final = 1000
MOST_RUNS: Final = 2**18
"""Of all masks together: some two for each column of a hundred lungs."""

_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    """What is read of a document; the rest is passed over, as COCO's readers do."""

    model_config = ConfigDict(frozen=True)


class _Model(_Part):
    name: _Name
    version: _Name
    sha256: _Sha256


class _Info(_Part):
    model: _Model | None = None


class _Category(_Part):
    id: int
    name: _Name


class _Image(_Part):
    id: int
    height: int
    width: int
    sha256: _Sha256 | None = None
    frame: int | None = None
    frames: int | None = None


class _Segmentation(_Part):
    size: tuple[int, int]
    counts: str


class _Annotation(_Part):
    image_id: int
    category_id: int
    segmentation: _Segmentation
    score: Annotated[float | None, Field(ge=0, le=1)] = None
    segment_algorithm_type: AlgorithmType | None = None


class _Document(_Part):
    info: _Info = _Info()
    categories: list[_Category]
    images: Annotated[list[_Image], Field(min_length=1, max_length=1)]
    annotations: Annotated[list[_Annotation], Field(max_length=MOST_INSTANCES)]


def annotated(result: Result, document: bytes, manifest: Manifest) -> Result:
    """The result with the instances of a document in place of its own.

    An annotation may say by `segment_algorithm_type` (PS3.3 C.8.20.2) whether the model found it
    and nobody changed it (AUTOMATIC), somebody corrected it (SEMIAUTOMATIC) or drew it (MANUAL). If
    it does not, one with a `score` is corrected and one without is drawn. A mask without a pixel is
    passed over.

    Args:
        result: of one frame.
        document: JSON of a COCO document of that frame alone. Masks are compressed RLE; `info` may
            name the model that they come from, as `solo.formats.coco` does.
        manifest: of the model whose classes its categories have to be, by name.

    Returns:
        One whose DICOM objects are other objects than the model's own, by their UIDs too.

    Raises:
        MalformedError: for bytes that are no JSON.
        AnnotationError: for annotations that are none of this film, or cannot be read.
    """
    read = _parse(document)
    _check_film(read.images[0], result)
    names = {category.id: category.name for category in read.categories}
    classes = dict(zip(manifest.class_names, manifest.category_ids, strict=True))
    found, left = [], MOST_RUNS
    for number, one in enumerate(read.annotations, 1):
        if one.image_id != read.images[0].id or one.category_id not in names:
            raise AnnotationError(
                f"annotation {number} is of an image or a category that the document does not have"
            )
        label = names[one.category_id]
        if label not in classes:
            raise AnnotationError(
                f"the category {label!r} is no class of the model, which has "
                f"{', '.join(manifest.class_names)}: a DICOM object names classes by the model's "
                "codes"
            )
        runs = _mask(one.segmentation, number, result)
        left -= len(runs.counts) // 2
        if left < 0:
            raise AnnotationError(
                f"the masks have more than {MOST_RUNS:,} runs together: smooth them, or fill their "
                "holes"
            )
        kind = one.segment_algorithm_type or ("MANUAL" if one.score is None else "SEMIAUTOMATIC")
        if kind == "AUTOMATIC" and one.score is None:
            raise AnnotationError(f"annotation {number} is AUTOMATIC and has no score of the model")
        if runs.area:
            score = nan if one.score is None else one.score
            found.append(Instance(label, classes[label], score, runs, nan, kind))
    model = read.info.model
    named = model and ModelIdentity(model.name, model.version, model.sha256, result.model.provider)
    return replace(result, model=named or result.model, instances=tuple(found), is_annotated=True)


def _parse(document: bytes) -> _Document:
    try:
        return _Document.model_validate_json(document)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if fault["type"] == "json_invalid":
        raise MalformedError("the annotations are no JSON document")
    where = ".".join(str(part) for part in fault["loc"]) or "document"
    raise AnnotationError(
        f"the annotations cannot be read: {where}: {fault['msg']}; they are a COCO document of one "
        "image, with masks as compressed run lengths"
    )


def _check_film(image: _Image, result: Result) -> None:
    info = result.radiograph
    if (image.height, image.width) != (info.height, info.width):
        raise AnnotationError(
            f"the annotations are of a film of {image.height} x {image.width} pixels, and this one "
            f"has {info.height} x {info.width}"
        )
    if image.sha256 is not None and image.sha256 != result.sha256:
        raise AnnotationError(
            "the annotations are of another film by its 'sha256': send the film that they are of, "
            "as it was sent before"
        )
    if image.frames not in (None, info.frames):
        raise AnnotationError(
            f"the annotations are of a film of {image.frames} frames, and this one has "
            f"{info.frames}"
        )
    if image.frame not in (None, info.frame):
        raise AnnotationError(
            f"the annotations are of frame {image.frame}, and frame {info.frame} is asked for"
        )


def _mask(segmentation: _Segmentation, number: int, result: Result) -> MaskRuns:
    size = result.radiograph.height, result.radiograph.width
    try:
        if segmentation.size != size:
            raise ValueError("its mask is not of its film's size")
        return read_compressed(segmentation.counts, size)
    except ValueError as error:
        raise AnnotationError(f"annotation {number} cannot be read: {error}") from None
