"""DICOM objects as an answer: which are asked for, and how they are sent (PS3.18 8.7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, get_args
from uuid import uuid4

from app.schemas import DicomQuery, SegmentQuery
from solo.errors import InvalidParameterError
from solo.formats.dicom.objects import DicomKind, DicomOptions

DICOM: Final = "application/dicom"
RELATED: Final = "multipart/related"

_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_TYPE: Final = re.compile(r';\s*type\s*=\s*"?application/dicom\s*(?:[";]|$)')
_WEIGHT: Final = re.compile(r";\s*q\s*=\s*([01](?:\.[0-9]*)?)\s*(?:;|$)")
_SYNTAX: Final = re.compile(r';\s*transfer-syntax\s*=\s*"?([0-9.*]+)"?\s*(?:;|$)')


@dataclass(frozen=True)
class DicomRequest:
    """What is asked for.

    Attributes:
        kinds: of object, in order, none twice.
        options: how they are written.
        in_parts: whether as `multipart/related`: several, or one for who takes nothing else.
        boundary: of the parts of several; random, so that nobody can have written it into a film.
    """

    kinds: tuple[DicomKind, ...]
    options: DicomOptions
    in_parts: bool
    boundary: str

    @property
    def media_type(self) -> str:
        """Of the answer."""
        if not self.in_parts:
            return DICOM
        return f'{RELATED}; type="{DICOM}"; boundary={self.boundary}'


def is_dicom(part: str) -> bool:
    """Whether a part of an Accept header, in lower case, takes DICOM objects."""
    media_type = part.partition(";")[0].strip()
    return media_type == DICOM or (media_type == RELATED and _TYPE.search(part) is not None)


def weight(part: str) -> float:
    """The weight of a part of an Accept header, in lower case (RFC 9110, 12.4.2); 0 refuses it."""
    told = _WEIGHT.search(part)
    return float(told[1]) if told else 1.0


def dicom_request(query: SegmentQuery | DicomQuery, accept: str) -> DicomRequest:
    """Reads what is asked for.

    Args:
        query: with the kinds; one that is absent is `seg`.
        accept: the Accept header, of which the transfer syntax is read.

    Raises:
        InvalidParameterError: for a transfer syntax in which no SEG is written.
    """
    parts = [part for part in accept.lower().split(",") if is_dicom(part) and weight(part)]
    parts.sort(key=weight, reverse=True)  # of one weight, in order
    asked = [syntax for part in parts for syntax in _SYNTAX.findall(part)]
    usable = [one for one in asked if one in (_DEFLATED, _EXPLICIT, "*")]
    if asked and not usable:
        raise InvalidParameterError(
            "the transfer-syntax in Accept is none that a SEG is written in: ask for "
            f"{_DEFLATED} (deflated), {_EXPLICIT} (explicit) or *"
        )
    named = dict.fromkeys((query.kinds or "seg").split(","))
    only_related = bool(parts) and all(part.strip().startswith(RELATED) for part in parts)
    return DicomRequest(
        tuple(kind for name in named for kind in get_args(DicomKind) if kind == name),
        DicomOptions(
            explicit=usable[:1] == [_EXPLICIT],
            assumed_orientation=query.beyond_standard is not None,
            variant=_variant(query),
        ),
        len(named) > 1 or only_related,
        uuid4().hex,
    )


def _variant(query: SegmentQuery | DicomQuery) -> str:
    """What else than film, model and kind tells objects apart: nothing, if nothing is asked for."""
    names = ("score_threshold", "max_instances", "max_overlap", "beyond_standard")
    given = ((name, getattr(query, name, None)) for name in names)
    return ",".join(f"{name}={value}" for name, value in given if value is not None)
