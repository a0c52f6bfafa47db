"""Grayscale Softcopy Presentation State (PS3.3 A.33.1): outlines that a viewer draws over the film.

It takes the place of the film's own display, so it repeats that: rescale, window and polarity.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from solo.decoding.dicom.source_header import Presentation
from solo.decoding.dicom.voi_attributes import LookupTable
from solo.decoding.window import Window
from solo.errors import NoDicomResultError
from solo.formats.dicom.modules import NOTICE, ascii_text
from solo.formats.dicom.segmentation import cielab, segment_names
from solo.formats.dicom.source import Source
from solo.formats.pictures import COLOURS
from solo.result import Result

Points = npt.NDArray[np.float32]
MOST_POINTS: Final = 8191
"""Of a polyline: two floats each in a value of less than 64 KiB (PS3.5 7.1.2)."""
_LAYER: Final = "SEGMENTATION"


def fill_presentation_state(dataset: Dataset, result: Result, source: Source) -> None:
    """Adds what is its own to the common modules.

    Raises:
        NoDicomResultError: for a film in colour, of which there is no grayscale presentation.
    """
    shown, info = source.presentation, result.radiograph
    if shown is None:
        raise NoDicomResultError(
            "the film is in colour, and a grayscale presentation state is of a film in grey: ask "
            "for a SEG or a secondary capture of it"
        )
    dataset.Laterality = ""
    dataset.ContentLabel, dataset.ContentDescription = "SOLO", NOTICE
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
        area.PresentationPixelSpacing = [_decimal(spacing.row_mm), _decimal(spacing.column_mm)]
    else:
        area.PresentationPixelAspectRatio = [1, 1]
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
    _fill_display(dataset, shown)


def _outlines(result: Result) -> list[Dataset]:
    outlines = []
    for instance in result.instances:
        for polygon in instance.polygons():
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
        f"{name} {instance.score:.2f}"
        for name, instance in zip(names, result.instances, strict=True)
    ]
    labels = []
    for text, place in [*zip(told, at, strict=True), (NOTICE, (0, 0))]:
        label = Dataset()
        label.UnformattedTextValue = ascii_text(text)
        label.AnchorPoint, label.AnchorPointAnnotationUnits = [*map(float, place)], "PIXEL"
        label.AnchorPointVisibility = "N"
        labels.append(label)
    return labels


def _fill_display(dataset: Dataset, shown: Presentation) -> None:
    """Modality LUT, VOI LUT and presentation LUT; what is absent is of no effect (PS3.4 N.2)."""
    if shown.modality_lut is not None:
        dataset.ModalityLUTSequence = [_modality_table(shown.modality_lut)]
    elif (shown.slope, shown.intercept) != (1, 0):
        dataset.RescaleIntercept = _decimal(shown.intercept)
        dataset.RescaleSlope, dataset.RescaleType = _decimal(shown.slope), "US"
    voi = Dataset()
    if isinstance(shown.voi, Window):
        voi.WindowCenter, voi.WindowWidth = _decimal(shown.voi.center), _decimal(shown.voi.width)
        voi.VOILUTFunction = shown.voi.function
    else:
        voi.VOILUTSequence = [_voi_table(shown.voi)]
    dataset.SoftcopyVOILUTSequence = [voi]
    dataset.PresentationLUTShape = "INVERSE" if shown.inverted else "IDENTITY"


def _modality_table(table: LookupTable) -> Dataset:
    item = _table(table.first, table.values)
    item.ModalityLUTType = "US"  # unspecified
    return item


def _voi_table(table: LookupTable) -> Dataset:
    """A VOI LUT whose white is the most that 16 bits can hold, whatever it was."""
    scaled = (table.values * (0xFFFF / table.full_scale)).round().clip(0, 0xFFFF)
    return _table(table.first, scaled.astype(np.uint16))


def _table(first: int, values: npt.NDArray[np.uint16]) -> Dataset:
    item, entries = Dataset(), len(values) & 0xFFFF  # 65536 is written as 0 (C.11.1.1.1)
    representation = "SS" if first < 0 else "US"
    if first < 0 and entries > 0x7FFF:
        entries -= 0x10000
    item.add_new("LUTDescriptor", representation, [entries, first, 16])
    item.add_new("LUTData", "OW", values.astype("<u2").tobytes())
    return item


def _decimal(value: float) -> str:
    return format_number_as_ds(float(value))
