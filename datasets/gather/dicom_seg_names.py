"""Class names of the segments of DICOM SEG objects: what people call them, and codes otherwise.

Viewers show the Segment Label, and people type into it; OHIF gives every segment the code of a
tissue. So the label counts, without the number that tells the instances of a class apart, unless
it is what a viewer calls a segment that nobody has named.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from solo.contract.manifest import check_name

_UNNAMED: Final = re.compile(
    r"((new|unnamed|untitled)[ _-]*)?"
    r"(segment(ation)?|label(map)?|roi|region|mask|object|structure|unnamed|untitled)?[ _#.-]*\d*",
    re.IGNORECASE,
)
_INSTANCE: Final = re.compile(r"(?<=\S)([ _]+#?\d+|\s*\(\d+\))$")
# Tissue in SNOMED CT and in its older codes; no code at all.
_SAYS_NOTHING: Final = frozenset({"85756007", "T-D0050", ""})


class SegmentName(NamedTuple):
    """What a segment is called.

    Attributes:
        label: Segment Label.
        type_code: code value of its Segmented Property Type.
        meaning: the code's meaning, with that of its modifiers before it.
    """

    label: str
    type_code: str
    meaning: str


def class_names(segments: Iterable[SegmentName]) -> dict[SegmentName, str]:
    """The class of each segment of a source.

    `lung 1` and `lung 2` are instances of `lung`; but where such labels have codes of their own, as
    `tooth 11` and `tooth 12` do, the number is a part of the name. Names that differ by case and
    blanks alone are one, as it is spelt most often.
    """
    found = list(segments)
    codes = defaultdict(set)
    for one in found:
        codes[_key(_without_number(one.label))].add(one.type_code)
    names = {one: _name(one, codes[_key(_without_number(one.label))]) for one in set(found)}
    spelt: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        spelt[_key(names[one])][names[one]] += 1
    return {one: min(spelt[_key(name)].items(), key=_rarity)[0] for one, name in names.items()}


def _rarity(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _key(name: str) -> str:
    return "".join(name.split()).casefold()


def _name(one: SegmentName, codes: set[str]) -> str:
    label = " ".join(one.label.split())
    if _UNNAMED.fullmatch(label) or not _is_name(label):
        meaning = " ".join(one.meaning.split())
        return meaning if meaning and _is_name(meaning) else "segment"
    return label if len(codes - _SAYS_NOTHING) > 1 else _without_number(label)


def _without_number(label: str) -> str:
    return _INSTANCE.sub("", " ".join(label.split()))


def _is_name(text: str) -> bool:
    try:
        check_name(text)
    except ValueError:
        return False
    return True
