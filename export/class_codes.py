"""Codes of classes for DICOM: as a model's description has them, or by a common class name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from model.data.common_codes import common_codes
from solo.contract.manifest import Manifest, ManifestError

_FAULT = "the description does not fit: class_codes"
_PARTS = ("value", "scheme", "meaning")


def read_class_codes(table: object, class_names: Sequence[str]) -> tuple[Any, ...]:
    """The manifest's `class_codes` of a table by class name.

    Args:
        table: such as `{"lung": {"category": "91723000, SCT, Anatomical Structure", "type":
            "39607008, SCT, Lung"}}`; `side` is a third code. Classes may be left out: those of
            common names, such as `heart` and `left lung`, have codes all the same.
        class_names: the network's.

    Returns:
        Values for `Manifest.class_codes` in the order of the classes, None for one without codes;
        none at all where no class has any.

    Raises:
        ManifestError: if it is no such table, or names a class that the network does not have.
    """
    if not isinstance(table, Mapping):
        raise ManifestError(f"{_FAULT} is a table with an entry for each class")
    unknown = [name for name in table if name not in class_names]
    if unknown:
        raise ManifestError(
            f"{_FAULT} are for {', '.join(map(repr, unknown))}, but the network's classes are "
            f"{', '.join(class_names)}"
        )
    found = tuple(
        _read_class(name, table[name]) if name in table else common_codes(name)
        for name in class_names
    )
    return found if any(found) else ()


def tell_missing_codes(manifest: Manifest) -> str:
    """A line that asks for the codes that a model does not have; empty where it has all."""
    coded = manifest.class_codes or (None,) * len(manifest.class_names)
    missing = [
        name for name, found in zip(manifest.class_names, coded, strict=True) if found is None
    ]
    if not missing:
        return ""
    return (
        f"no codes for {', '.join(missing)}: films that show one cannot become DICOM SEG objects; "
        "give category and type under [class_codes.NAME] in the description\n"
    )


def _read_class(name: str, entry: object) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise ManifestError(f"{_FAULT}.{name} is a table of category, type and side")
    return {role: _read_code(f"{name}.{role}", code) for role, code in entry.items()}


def _read_code(where: str, code: object) -> dict[str, str]:
    parts = code.split(",", 2) if isinstance(code, str) else []
    if len(parts) != len(_PARTS) or not all(part.strip() for part in parts):
        raise ManifestError(
            f"{_FAULT}.{where} is a text such as '39607008, SCT, Lung' (code, scheme, meaning), "
            f"not {code!r}"
        )
    return {key: part.strip() for key, part in zip(_PARTS, parts, strict=True)}
