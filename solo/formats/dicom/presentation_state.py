"""Grayscale Softcopy Presentation State (PS3.3 A.33.1): outlines that a viewer draws over the film.

It takes the place of the film's own display, so it repeats that: rescale, window and polarity.
"""

from __future__ import annotations

import re
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from solo.errors import NoDicomResultError
from solo.formats.dicom.display import decimal, fill_display
from solo.formats.dicom.modules import ascii_text, notice
from solo.formats.dicom.segments import cielab, segment_names
from solo.formats.dicom.source import Source
from solo.formats.pictures import COLOURS
from solo.result import Result

Points = npt.NDArray[np.float32]
MOST_POINTS: Final = 8191
"""Of a polyline: two floats each in a value of less than 64 KiB (PS3.5 7.1.2)."""
MOST_OUTLINES: Final = 10_000
"""Of a presentation state: viewers draw no more in time, and each takes 5 KB of memory."""
_RATIO: Final = re.compile(rb"[ +]*([1-9][0-9]{0,8}) *\\[ +]*([1-9][0-9]{0,8})[ \0]*")
_LAYER: Final = "SEGMENTATION"


def fill_presentation_state(dataset: Dataset, result: Result, source: Source) -> None:
    """Adds what is its own to the common modules.

    Raises:
        NoDicomResultError: for a film in colour, of which there is no grayscale presentation, and
            for masks of too many pieces.
    """
    shown, info = source.presentation, result.radiograph
    if shown is None:
        raise NoDicomResultError(
            "the film is in colour, and a grayscale presentation state is of a film in grey: ask "
            "for a SEG or a secondary capture of it"
        )
    dataset.Laterality = ""
    dataset.ContentLabel = "CORRECTED" if result.is_annotated else "SOLO"
    dataset.ContentDescription = notice(result)
    dataset.ContentCreatorName = ""
    dataset.PresentationCreationDate = dataset.ContentDate
    dataset.PresentationCreationTime = dataset.ContentTime
    del dataset.ContentDate, dataset.ContentTime
    series = source.series_reference()
    series.ReferencedImageSequence = [source.reference()]
    dataset.ReferencedSeriesSequence = [series]
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [info.width, info.height]
    area.PresentationSizeMode = "SCALE TO FIT"
    spacing = info.pixel_spacing
    if spacing is not None and spacing.row_mm != spacing.column_mm:
        area.PresentationPixelSpacing = [decimal(spacing.row_mm), decimal(spacing.column_mm)]
    else:
        area.PresentationPixelAspectRatio = [1, 1] if spacing else _aspect(source.aspect)
    dataset.DisplayedAreaSelectionSequence = [area]
    annotation = Dataset()
    annotation.GraphicLayer = _LAYER
    annotation.GraphicObjectSequence = _outlines(result)
    annotation.TextObjectSequence = _labels(result)
    dataset.GraphicAnnotationSequence = [annotation]
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = _LAYER, 1
    layer.GraphicLayerRecommendedDisplayCIELabValue = cielab(COLOURS[0])
    dataset.GraphicLayerSequence = [layer]
    fill_display(dataset, shown)


def _aspect(raw: bytes) -> list[int]:
    """Pixel Aspect Ratio, vertical then horizontal (PS3.3 C.7.6.3.1.7); else square."""
    told = _RATIO.fullmatch(raw)
    return [int(side) for side in told.groups()] if told else [1, 1]


def _outlines(result: Result) -> list[Dataset]:
    outlines: list[Dataset] = []
    for instance in result.instances:
        for polygon in instance.polygons():
            if len(outlines) == MOST_OUTLINES:
                raise NoDicomResultError(
                    f"the masks have more than {MOST_OUTLINES:,} pieces, and a presentation state "
                    "draws each: ask for a SEG"
                )
            graphic = Dataset()
            points = closed_polyline(np.reshape(polygon, (-1, 2)).astype(np.float32))
            # PIXEL counts from the corner of the first pixel, as polygons do (C.10.5.1.2).
            graphic.GraphicAnnotationUnits, graphic.GraphicDimensions = "PIXEL", 2
            graphic.NumberOfGraphicPoints = len(points)
            graphic.GraphicData = points.ravel().tolist()
            graphic.GraphicType, graphic.GraphicFilled = "POLYLINE", "N"
            outlines.append(graphic)
    return outlines


def closed_polyline(points: Points) -> Points:
    """A polygon with its first point again at its end, in at most `MOST_POINTS` points.

    Args:
        points: float32 [n, 2]; simplified as much as that needs.
    """
    tolerance, simple = 0.5, points
    while len(simple) >= MOST_POINTS:
        tolerance *= 2
        simple = cv2.approxPolyDP(points, tolerance, closed=True)[:, 0].astype(np.float32)
    return np.concatenate([simple, simple[:1]])


def _labels(result: Result) -> list[Dataset]:
    names = segment_names(result.instances)
    at = [instance.bbox[:2] for instance in result.instances]
    told = [
        f"{name} {instance.origin}" for name, instance in zip(names, result.instances, strict=True)
    ]
    labels = []
    for text, place in [*zip(told, at, strict=True), (notice(result), (0, 0))]:
        label = Dataset()
        label.UnformattedTextValue = ascii_text(text)
        label.AnchorPoint, label.AnchorPointAnnotationUnits = [*map(float, place)], "PIXEL"
        label.AnchorPointVisibility = "N"
        labels.append(label)
    return labels
