"""Modules that all our objects share: patient, study, series, equipment, SOP common (PS3.3).

Texts of ours are ASCII, which every character set begins with: the film's own may be any.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code as PydicomCode
from pydicom.uid import UID

from solo import __version__
from solo.contract.manifest import RESEARCH_USE_ONLY, Code
from solo.decoding.dicom.source_header import IDENTITY, TAGS
from solo.formats.dicom.source import Source
from solo.result import ModelIdentity, Result

VERSION: Final = __version__
MANUFACTURER: Final = "SOLO X-ray"
_NOTICE: Final = f"{RESEARCH_USE_ONLY.partition(':')[0]}."

_LO: Final = 64
# Required, and empty where the film has none. The others are only there where it has them.
_TYPE_2: Final = tuple(
    TAGS[name] for name in IDENTITY if name not in ("SpecificCharacterSet", "IssuerOfPatientID")
)


def notice(result: Result) -> str:
    """What whoever sees an object has to know, in the 64 characters of an LO."""
    strange = result.out_of_distribution
    return f"{_NOTICE} Out of distribution." if strange and strange.flagged else _NOTICE


def common_modules(
    sop_class: UID,
    uids: tuple[str, str],
    modality: str,
    series_number: int,
    model: ModelIdentity,
) -> Dataset:
    """The data set of a new object but for what is its own.

    Args:
        sop_class: of the object.
        uids: of the object and of its series.
        modality: of the series (PS3.3 C.7.3.1.1.1).
        series_number: which has to be there.
        model: stands in for the equipment.
    """
    now = datetime.now()  # of the place, as the film's own times are
    dataset = Dataset()
    dataset.SOPClassUID, (dataset.SOPInstanceUID, dataset.SeriesInstanceUID) = sop_class, uids
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = modality, series_number, 1
    dataset.SeriesDescription = ascii_text(f"{MANUFACTURER} {model.name}: research use only")
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = ascii_text(model.name)
    dataset.DeviceSerialNumber = model.sha256[:_LO]
    dataset.SoftwareVersions = [VERSION, ascii_text(model.version)]
    dataset.ContentDate = now.strftime("%Y%m%d")
    dataset.ContentTime = now.strftime("%H%M%S.%f")
    return dataset


def copied_elements(source: Source) -> dict[int, bytes]:
    """Raw elements of patient and study, those that are required empty where the film has none."""
    return {**dict.fromkeys(_TYPE_2, b""), **source.identity}


def ascii_text(text: str, most: int = _LO) -> str:
    """A text in ASCII, never empty, without what a value cannot hold.

    A backslash would make two values of it, and ESC begin another character set.
    """
    letters = unicodedata.normalize("NFKD", text)
    bare = "".join(one for one in letters if not unicodedata.combining(one))
    shown = "".join(one if one.isprintable() else " " for one in bare.replace("\\", "/"))
    return shown.encode("ascii", "replace").decode().strip()[:most].rstrip() or "?"


def coded(code: Code | PydicomCode) -> Dataset:
    """An item of a code sequence (PS3.3 Table 8.8-1)."""
    item = Dataset()
    item.CodeValue = ascii_text(code.value, 16)
    item.CodingSchemeDesignator = ascii_text(
        code.scheme if isinstance(code, Code) else code.scheme_designator, 16
    )
    item.CodeMeaning = ascii_text(code.meaning)
    return item
