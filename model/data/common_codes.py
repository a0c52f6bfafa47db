"""Codes for DICOM of common class names, from SNOMED CT."""

from __future__ import annotations

from typing import Any, Final

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

# Names that are one thing in every radiograph; what is not here has to be said.
_ANATOMY: Final = (
    *("aorta", "clavicle", "diaphragm", "femur", "fibula", "heart", "humerus", "lung", "mandible"),
    *("patella", "rib", "scapula", "sternum", "tibia", "tooth", "trachea", "ulna", "vertebra"),
)
_FINDINGS: Final = {
    "mass": codes.SCT.Mass,
    "nodule": codes.SCT.Nodule,
    "pleural effusion": codes.SCT.PleuralEffusion,
}
_SIDES: Final = {"left": codes.SCT.Left, "right": codes.SCT.Right}


def common_codes(name: str) -> dict[str, Any] | None:
    """The codes of a common class name, with or without a side before it; None for any other."""
    words = name.lower().replace("_", " ").replace("-", " ").split()
    side = _SIDES.get(words[0]) if words else None
    bare = " ".join(words[1:] if side else words)
    if bare in _ANATOMY:
        category, kind = codes.SCT.AnatomicalStructure, getattr(codes.SCT, bare.capitalize())
    elif bare in _FINDINGS:
        category, kind = codes.SCT.MorphologicallyAbnormalStructure, _FINDINGS[bare]
    else:
        return None
    return {
        "category": _entry(category),
        "type": _entry(kind),
        "side": _entry(side) if side else None,
    }


def _entry(code: Code) -> dict[str, str]:
    return {"value": code.value, "scheme": code.scheme_designator, "meaning": code.meaning}
