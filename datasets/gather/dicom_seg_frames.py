"""Frames of a DICOM SEG: which shows which segment of which film (PS3.3 C.7.6.16, C.8.20.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from solo.decoding.dicom.element_walk import Elements
from solo.decoding.dicom.elements import code, integer, items, number, numbers
from solo.errors import MalformedError

Reference = tuple[str, int | None]
"""SOP instance UID of a film, and its frame from 1, where one is named."""


@dataclass(frozen=True)
class Shown:
    """What a frame of a SEG says that it shows.

    Attributes:
        segment: its number; None in a label map.
        films: that it is of; with fewer or more than one it is not clear which is meant.
    """

    segment: int | None
    films: frozenset[Reference]


def read_frames(
    dataset: Elements, fallback: frozenset[Reference], segments: list[int]
) -> Iterator[Shown]:
    """What each frame shows, by its own functional groups or the shared ones.

    Args:
        dataset: of the SEG.
        fallback: its films, for a frame that names none.
        segments: the numbers of its segments; one alone need not be named.

    Raises:
        MalformedError: if the frames are not described, one by one.
    """
    shared = next(items(dataset, "SharedFunctionalGroupsSequence"), Elements())
    count = number(dataset, "NumberOfFrames", default=1)
    frames = list(items(dataset, "PerFrameFunctionalGroupsSequence"))
    frames = frames or [Elements()]  # what is shared says it all
    if len(frames) != count:
        raise MalformedError(f"its frames are {count:,.0f}, and {len(frames):,} are described")
    is_map = code(dataset, "SegmentationType") == "LABELMAP"
    for frame in frames:
        groups = frame, shared
        yield Shown(
            None if is_map else _segment_number(groups, segments),
            next(filter(None, map(_derivation, groups)), fallback),
        )


def _segment_number(groups: tuple[Elements, ...], segments: list[int]) -> int:
    for group in groups:
        for item in items(group, "SegmentIdentificationSequence"):
            return integer(item, "ReferencedSegmentNumber")
    if len(segments) != 1:
        raise MalformedError("a frame does not say which segment it shows")
    return segments[0]


def _derivation(group: Elements) -> frozenset[Reference]:
    return frozenset(
        reference
        for item in items(group, "DerivationImageSequence")
        for reference in references(item, "SourceImageSequence")
    )


def references(item: Elements, keyword: str) -> Iterator[Reference]:
    """The films, or frames of films, that the items of a sequence refer to (PS3.3 Table 10-3).

    Raises:
        MalformedError: for damaged items, and for frames without a whole number.
    """
    for image in items(item, keyword):
        uid = code(image, "ReferencedSOPInstanceUID")
        frames = numbers(image, "ReferencedFrameNumber")
        if not all(frame.is_integer() for frame in frames):
            raise MalformedError("the DICOM element ReferencedFrameNumber is not an integer")
        yield from ((uid, int(frame)) for frame in frames)
        if not frames:
            yield uid, None
