"""Manifest of a model file: one JSON document in the ONNX metadata."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

METADATA_KEY = "solo_xray_manifest"
INPUT_NAME = "images"
OUTPUT_NAMES = ("scores", "labels", "masks")
OUT_OF_DISTRIBUTION_NAME = "out_of_distribution"
"""The optional output, float32 [N]: distance from the training films; 1 is the limit."""
RESEARCH_USE_ONLY = (
    "Research use only. Not a medical device: not for diagnosis or treatment. "
    "Every result must be reviewed by a qualified person."
)

# Unicode's control, format, line separator and paragraph separator characters; and those letters
# and marks that are blank (its Default_Ignorable_Code_Point, and Braille's blank).
_NOT_SHOWN: Final = ("Cc", "Cf", "Zl", "Zp")
_BLANK: Final = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    r"\U000e0000-\U000e0fff]"
)
# Persian and Indian words are spelt with these: after an Arabic letter, or the mark of a letter.
_JOINERS: Final = "\u200c\u200d"
_JOINED: Final = ("AL", "NSM")  # Unicode's bidirectional classes


def check_name(text: str) -> str:
    """Returns a name that shows all of itself, on one line and in the order that it is written in.

    It stands in logs, on films and in a terminal, where another character could hide a part of it,
    turn its order around (Unicode's bidirectional controls) or begin a line of its own.

    Raises:
        ValueError: for any other.
    """
    for before, character in zip(f" {text}", text, strict=False):
        if character in _JOINERS and unicodedata.bidirectional(before) in _JOINED:
            continue
        if unicodedata.category(character) in _NOT_SHOWN or _BLANK.match(character):
            raise ValueError(
                f"the name has the character U+{ord(character):04X}, which is not shown: a name is "
                "one line of characters that are; leave it out"
            )
    return text


Name = Annotated[str, AfterValidator(check_name)]
ShortName = Annotated[Name, Field(min_length=1, max_length=16)]
Probability = Annotated[float, Field(ge=0, le=1)]
Precision = Literal["float32", "float16", "int8"]
Positive = Annotated[int, Field(gt=0)]


class ManifestError(ValueError):
    """The model file carries no manifest, or one that this version cannot read."""


class Code(BaseModel):
    """A coded entry (DICOM PS3.3 section 8.8), such as 39607008, SCT, Lung."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: ShortName
    scheme: ShortName
    meaning: Annotated[Name, Field(min_length=1, max_length=64)]


class ClassCodes(BaseModel):
    """What a class is in DICOM's words (PS3.3 section C.8.20.2).

    Attributes:
        category: of the segmented property, such as 91723000, SCT, Anatomical Structure.
        type: of the segmented property, such as 39607008, SCT, Lung.
        side: its modifier where the class has one: 24028007, SCT, Right or 7771000, SCT, Left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: Code
    type: Code
    side: Code | None = None


class OutOfDistributionFit(BaseModel):
    """How the graph's out-of-distribution output was fitted.

    Scores are in units of the limit: above 1 a film is flagged.

    Attributes:
        films: that it was fitted on.
        patients: whose they are.
        limit: the residual that is a score of 1: mean square over the features, each in units of
            its standard deviation over the films.
        median_score: of those films, each scored by a fit without its patient: what to compare a
            day's films with.
        auroc: by kind of strange film, made of the films it was fitted on: how well the score tells
            them apart, in [0, 1].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    films: Positive
    patients: Positive
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    median_score: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    auroc: dict[Name, Probability]


class Manifest(BaseModel):
    """Metadata of a model: everything that a service needs besides the graph.

    Sizes are (height, width) in pixels. `class_names` and `category_ids` run in parallel; the
    graph's labels index them. `metrics` holds the measured quality, `metrics_on` says on what.
    A graph in fewer bits names the float32 file that it was made of by `float32_sha256`.

    Version 2 has the last five fields, and those of older files have their defaults:
    `out_of_distribution` is there where the graph has that output; `island_pixels` says up to how
    many pixels of the mask stride a piece is dropped that lies apart from its instance, 0 for none;
    `class_codes` run in parallel with the class names, or there are none; `recipe` and `data` name
    what the network was trained by and on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1, 2] = 2
    name: Name
    version: Name
    variant: Name
    backbone: Name
    class_names: tuple[Name, ...]
    category_ids: tuple[int, ...]
    canvas_size: tuple[Positive, Positive]
    mask_stride: Positive
    max_instances: Positive
    score_threshold: Probability
    mask_threshold: Probability
    training_data: str
    licence: str
    attribution: str
    metrics: dict[Name, FiniteFloat]
    metrics_on: str
    intended_use: str = RESEARCH_USE_ONLY
    weights_sha256: Name
    source_revision: Name
    opset: Positive
    precision: Precision = "float32"
    float32_sha256: Name | None = None
    out_of_distribution: OutOfDistributionFit | None = None
    island_pixels: Annotated[int, Field(ge=0)] = 0
    class_codes: tuple[ClassCodes | None, ...] = ()
    recipe: Name | None = None
    data: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _classes_run_in_parallel(self) -> Self:
        if not self.class_names or len(self.class_names) != len(self.category_ids):
            raise ValueError(
                f"{len(self.class_names)} class names for {len(self.category_ids)} category ids"
            )
        if self.class_codes and len(self.class_codes) != len(self.class_names):
            raise ValueError(
                f"{len(self.class_codes)} class codes for {len(self.class_names)} class names"
            )
        return self

    def to_metadata(self) -> dict[str, str]:
        """The manifest as ONNX `metadata_props`."""
        return {METADATA_KEY: self.model_dump_json()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Manifest:
        """Reads the manifest of a model file.

        Args:
            metadata: the file's `metadata_props`, such as ONNX Runtime's `custom_metadata_map`.

        Raises:
            ManifestError: if it is missing, not valid, or of another schema version.
        """
        document = metadata.get(METADATA_KEY)
        if document is None:
            raise ManifestError(
                f"the model file has no '{METADATA_KEY}' in its metadata: "
                "it was not written by `python -m export`"
            )
        try:
            return cls.model_validate_json(document, strict=True)
        except ValidationError as error:
            raise ManifestError(
                f"the model's manifest cannot be used: {list_faults(error)}"
            ) from error


def list_faults(error: ValidationError) -> str:
    """Validation errors of a manifest, field by field."""
    return "; ".join(
        f"{'.'.join(map(_shown, fault['loc'])) or 'manifest'}: {fault['msg']}"
        for fault in error.errors()
    )


def _shown(part: int | str) -> str:
    """A part of a field's path, of which names are parts too."""
    return text if (text := str(part)).isprintable() else ascii(text)
