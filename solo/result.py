"""Results: the instances of one radiograph, as plain frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from solo.decoding.dicom.source_header import SourceHeader
from solo.decoding.pixel_spacing import PixelSpacing
from solo.decoding.radiograph import RadiographInfo
from solo.decoding.stored_pixels import StoredPixels
from solo.inference.engine import ModelIdentity
from solo.masks.polygons import polygons
from solo.masks.rle import MaskRuns

__all__ = [
    "AlgorithmType",
    "Instance",
    "ModelIdentity",
    "OutOfDistribution",
    "PixelSpacing",
    "RadiographInfo",
    "Result",
    "Timings",
]


AlgorithmType = Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]
"""What made a mask (DICOM PS3.3 C.8.20.2): the model, the model and a person, or a person alone."""


_BY_HAND: Final = {"SEMIAUTOMATIC": "corrected", "MANUAL": "drawn"}


@dataclass(frozen=True)
class Timings:
    """Seconds that one image took; waiting for a thread counts nowhere."""

    decode_seconds: float
    queue_seconds: float
    inference_seconds: float
    postprocess_seconds: float


@dataclass(frozen=True)
class OutOfDistribution:
    """How unlike the films that the model was trained on a film is.

    Attributes:
        score: its distance from them, 0 or above, in units of the model's limit.
        flagged: whether the score is above 1: such a film the model does not know, however high its
            instances score.
    """

    score: float
    flagged: bool

    @classmethod
    def of(cls, score: float | None) -> OutOfDistribution | None:
        """That of a score; None for None, where the model has none."""
        return None if score is None else cls(score, score > 1)


@dataclass(frozen=True)
class Instance:
    """One segmented object.

    Attributes:
        label: name of its class.
        category_id: id of its class in the training data.
        score: in [0, 1]; NaN for an annotation without.
        runs: its mask in the radiograph's own pixels, as run lengths.
        outline_uncertainty: pixels of doubt (soft mask between 0.1 and 0.9) for each pixel of the
            mask, in pixels of the model: the larger, the less the outline is to be trusted. NaN for
            an annotation.
        algorithm_type: what made the mask.
    """

    label: str
    category_id: int
    score: float
    runs: MaskRuns
    outline_uncertainty: float
    algorithm_type: AlgorithmType = "AUTOMATIC"

    @property
    def origin(self) -> str:
        """The score; or what a person did, since a corrected mask is not the one that has it."""
        return _BY_HAND.get(self.algorithm_type) or f"{self.score:.2f}"

    @property
    def bbox(self) -> tuple[int, int, int, int]:
        """(x, y, width, height) in pixels."""
        return self.runs.bbox

    @property
    def area(self) -> int:
        """Pixels in the mask."""
        return self.runs.area

    def rle(self) -> dict[str, Any]:
        """The mask as COCO's compressed RLE, `{"size": [height, width], "counts": str}`."""
        return {"size": list(self.runs.size), "counts": self.runs.compressed()}

    def polygons(self) -> list[list[float]]:
        """The outlines as COCO polygons, [x1, y1, x2, y2, ...] in pixels; holes are filled."""
        return polygons(self.runs)

    def mask(self) -> npt.NDArray[np.bool_]:
        """The mask as bool [height, width]."""
        return self.runs.mask()


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class Result:
    """The instances of one frame.

    Attributes:
        model: which answered.
        sha256: of the file's bytes, hexadecimal.
        radiograph: the facts of the frame.
        instances: best first.
        timings: where the time went.
        pixels: of the frame, uint8 [height, width], if they were asked for.
        out_of_distribution: whether the model knows such films; None where it cannot tell.
        stored_pixels: what its grey was made of, if that was asked for.
        source_header: what DICOM results copy from the film, patient and study among it, if it was
            asked for; None for a film that is no DICOM.
        is_annotated: whether the instances are annotations in place of the model's own.
    """

    model: ModelIdentity
    sha256: str
    radiograph: RadiographInfo
    instances: tuple[Instance, ...]
    timings: Timings
    pixels: npt.NDArray[np.uint8] | None = None
    out_of_distribution: OutOfDistribution | None = None
    stored_pixels: StoredPixels | None = None
    source_header: SourceHeader | None = None
    is_annotated: bool = False
