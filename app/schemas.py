"""Schemas of requests and answers; the library's own facts stand in them as they are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from solo.batching.priority_queue import Lane
from solo.contract.manifest import RESEARCH_USE_ONLY, Manifest
from solo.decoding.radiograph import GreyRecipe
from solo.decoding.window import WindowFunction
from solo.result import ModelIdentity, OutOfDistribution, PixelSpacing, Timings

ResponseFormat = Literal["rle", "uncompressed-rle", "polygons", "overlay", "label-map"]
AnswerFormat = ResponseFormat | Literal["dicom"]


class Schema(BaseModel):
    """What a request or an answer has, or a part of it."""

    model_config = ConfigDict(frozen=True)


Kinds = Annotated[
    str | None,
    Field(
        pattern=r"^(seg|gsps|sc)(,(seg|gsps|sc)){0,2}$",
        description="DICOM objects in place of JSON, as `Accept: application/dicom` asks for: "
        "`seg` (segmentation; the default), `gsps` (outlines as a presentation state), `sc` "
        "(an image with outlines as a secondary capture), or several with commas between. Of a "
        "single DICOM file and frame.",
    ),
]
BeyondStandard = Annotated[
    Literal["orientation"] | None,
    Field(
        description="`orientation` gives a SEG the plane orientation that viewers such as OHIF "
        "do not open it without, and that the standard has no place for in a radiograph's."
    ),
]
LaneAsked = Annotated[
    Lane,
    Field(description="`bulk` for archives: it takes what `interactive` leaves, and an eighth."),
]


class SegmentQuery(Schema):
    """The query of `POST /segment`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    score_threshold: Annotated[
        float | None,
        Field(ge=0, le=1, description="Least score of an instance; the model's own if absent."),
    ] = None
    max_instances: Annotated[
        int | None,
        Field(ge=1, description="Most instances of an image, best first; the model's if absent."),
    ] = None
    max_overlap: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="Largest intersection over union of two instances of whatever class; the "
            "better one stays. If absent, only those of one class suppress each other.",
        ),
    ] = None
    format: Annotated[
        ResponseFormat | None,
        Field(
            description="Masks as COCO's compressed (`rle`) or uncompressed run lengths, or as "
            "polygons without holes; or a PNG of a single file: `overlay`, the film with outlines "
            "and labels, or `label-map`, n where the n-th instance is. If absent, `Accept: "
            "image/png` is the overlay and everything else `rle`."
        ),
    ] = None
    kinds: Kinds = None
    beyond_standard: BeyondStandard = None
    frame: Annotated[
        str,
        Field(
            pattern=r"^([0-9]{1,9}(-[0-9]{1,9})?|all)$",
            description="Which frames of a multi-frame DICOM, from 0: `2`, `0-4` or `all`.",
        ),
    ] = "0"
    pixels: Annotated[
        Literal["cells"] | None,
        Field(
            description="`cells` answers with `multipart/form-data`: the JSON, and the film as it "
            "is stored, with what makes it grey. Of a single file and frame."
        ),
    ] = None
    lane: LaneAsked = "interactive"


class DicomQuery(Schema):
    """The query of `POST /dicom`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinds: Kinds = None
    beyond_standard: BeyondStandard = None
    frame: Annotated[
        str,
        Field(
            pattern=r"^[0-9]{1,9}$", description="The frame that the annotations are of, from 0."
        ),
    ] = "0"
    lane: LaneAsked = "interactive"


class SegmentHeaders(Schema):
    """The headers of `POST /segment` that are its own."""

    timeout_seconds: Annotated[
        float | None,
        Field(
            alias="x-request-timeout-seconds",
            gt=0,
            allow_inf_nan=False,
            description="Shortens the deadline that the service has for each image.",
        ),
    ] = None


class ProblemDetails(Schema):
    """Problem details (RFC 9457)."""

    type: Annotated[str, Field(description="Stable URN of the kind of problem.")]
    title: str
    status: int
    detail: Annotated[str, Field(description="What was wrong here: the limit and the value.")]
    request_id: str


class Segmentation(Schema):
    """A mask in COCO's compressed run-length encoding."""

    size: Annotated[tuple[int, int], Field(description="(height, width) of the image.")]
    counts: Annotated[str, Field(description="ASCII; decode it with pycocotools.")]


class UncompressedSegmentation(Schema):
    """A mask in COCO's uncompressed run-length encoding."""

    size: Annotated[tuple[int, int], Field(description="(height, width) of the image.")]
    counts: Annotated[
        list[int], Field(description="Pixels down the columns, background and mask in turn.")
    ]


Polygons = Annotated[
    list[list[float]], Field(description="COCO polygons: x1, y1, x2, y2, ... in pixels.")
]


class Instance(Schema):
    """One segmented object."""

    label: str
    category_id: int
    score: Annotated[float, Field(ge=0, le=1)]
    outline_uncertainty: Annotated[
        float,
        Field(
            ge=0,
            description="How unsure the outline is, whatever the score: pixels of doubt (soft mask "
            "between 0.1 and 0.9) for each pixel of the mask, in pixels of the model, so that the "
            "film's size does not matter. 0 is sharp; small and thin objects have more. It is no "
            "probability: compare it within a class of one model, and look at the largest first.",
        ),
    ]
    bbox: Annotated[tuple[int, int, int, int], Field(description="x, y, width, height in pixels.")]
    area: Annotated[int, Field(description="Pixels in the mask.")]
    segmentation: Segmentation | UncompressedSegmentation | Polygons


class ImageAnswer(Schema):
    """The instances of one image."""

    index: Annotated[int, Field(description="Place of the file in the request, from 0.")]
    sha256: Annotated[str, Field(description="Of the file's bytes.")]
    height: int
    width: int
    frame: int
    grey: Annotated[GreyRecipe, Field(description="How stored values became grey.")]
    pixel_spacing: PixelSpacing | None
    out_of_distribution: Annotated[
        OutOfDistribution | None, Field(description="null where the model cannot tell.")
    ]
    instances: list[Instance]
    timings: Timings


class DisplayWindow(Schema):
    """A VOI window (DICOM PS3.3 C.11.2.1.2) of modality values."""

    center: float
    width: Annotated[float, Field(gt=0)]
    function: WindowFunction


class FilmDisplay(Schema):
    """How the cells of a film become grey: by a window of their modality values; padding is black.

    The window is the file's own; without one, the linear one that the table amounts to.
    """

    bits: Annotated[Literal[8, 16], Field(description="Of a cell.")]
    frames: Annotated[int, Field(ge=1, description="That the file has.")]
    window: DisplayWindow
    inverted: Annotated[bool, Field(description="Whether high values are dark.")]


class ImageFailure(Schema):
    """The error of one of several images."""

    index: int
    sha256: str
    frame: int
    error: ProblemDetails


class FailedRequest(ProblemDetails):
    """The problem of the first of several images, none of which could be answered."""

    images: list[ImageFailure]


class ModelDescription(Manifest):
    """The model's manifest, with the file's hash and the active provider."""

    sha256: str
    provider: str


class Health(Schema):
    """Answer to a probe."""

    status: str


class SegmentAnswer(Schema):
    """The answer to `POST /segment`, one image for each file and frame, in the request's order."""

    model_config = ConfigDict(
        json_schema_extra={"description": f"The instances of each image. {RESEARCH_USE_ONLY}"}
    )

    request_id: str
    model: ModelIdentity
    images: list[ImageAnswer | ImageFailure]
