"""Display of a presentation state: Modality LUT, VOI LUT and polarity of the film (PS3.3 C.11)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from solo.decoding.dicom.source_header import Presentation
from solo.decoding.dicom.voi_attributes import LookupTable
from solo.decoding.window import Window


def fill_display(dataset: Dataset, shown: Presentation) -> None:
    """Modality LUT, VOI LUT and presentation LUT; what is absent is of no effect (PS3.4 N.2)."""
    if shown.modality_lut is not None:
        dataset.ModalityLUTSequence = [_modality_table(shown.modality_lut)]
    elif (shown.slope, shown.intercept) != (1, 0):
        dataset.RescaleIntercept = decimal(shown.intercept)
        dataset.RescaleSlope, dataset.RescaleType = decimal(shown.slope), "US"
    voi = Dataset()
    if isinstance(shown.voi, Window):
        voi.WindowCenter, voi.WindowWidth = decimal(shown.voi.center), decimal(shown.voi.width)
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


def decimal(value: float) -> str:
    """A number as a Decimal String, of at most 16 characters."""
    return format_number_as_ds(float(value))
