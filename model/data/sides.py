"""Classes that differ by side: which two a mirrored film swaps.

A mirrored film shows the left lung where right ones are. With its label unchanged it teaches the
opposite of what the other films do.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from model.data.coco import ImageRecord
from model.data.side_words import Reading, read_side, split_words
from model.data.teeth import find_teeth

# A mirrored letter is none of the other side's.
_WRITTEN = re.compile(  # "Seitenmarke" is one too
    "marker|marke|markier|marque|marcad|markør|letter|lettre|letra|buchstab|text|label|"
    "beschrift|zeichen|repère|znacznik|oznaczen"
)
_QUADRANTS = {"ul": "ur", "ll": "lr"}  # of teeth, mostly before a number
# Initials for left and right: gauche, esquerdo, izquierdo, sinistro, lewy and levý, venstre.
_INITIALS = {"g": "d", "e": "d", "i": "d", "s": "d", "l": "p", "v": "h"}
_LONGEST_ABBREVIATION = 4


@dataclass(frozen=True)
class Sides:
    """The classes of a data set that have a side.

    Attributes:
        class_names: in the order of their labels.
        pairs: that a mirrored film swaps.
        alone: whose other side is no class. Films that show one are not mirrored.
        unsure: that may be two sides, or not. Films that show one are not mirrored.
    """

    class_names: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    alone: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()

    @property
    def swapped(self) -> npt.NDArray[np.int64]:
        """The label that an object of each label has on a mirrored film, int64 [classes]."""
        labels = np.arange(len(self.class_names))
        for pair in self.pairs:
            one, other = map(self.class_names.index, pair)
            labels[[one, other]] = other, one
        return labels

    def may_mirror(self, record: ImageRecord) -> bool:
        """Whether a film shows nothing of which a mirrored film would teach the wrong class."""
        kept = {self.class_names.index(name) for name in (*self.alone, *self.unsure)}
        return not any(annotation.label in kept for annotation in record.annotations)

    def describe(self) -> list[str]:
        """What mirroring does with them, in sentences; none where no class has a side."""
        told = []
        if self.pairs:
            pairs = ", ".join(f"'{one}' and '{other}'" for one, other in self.pairs)
            told.append(f"Mirrored films swap the labels of {pairs}.")
        if self.alone:
            told.append(
                f"Films with {_listed(self.alone)} are not mirrored: the class has a side by its "
                "name, and the other side is no class."
            )
        if self.unsure:
            told.append(
                f"Films with {_listed(self.unsure)} are not mirrored: the names may mean sides."
            )
        if told:
            told.append(
                "Where that is wrong, augmentation.side_pairs lists the pairs; "
                "augmentation.mirror = 0 mirrors nothing."
            )
        return told


def find_sides(class_names: Sequence[str], given: Sequence[tuple[str, str]] | None = None) -> Sides:
    """Finds the classes that differ by side.

    By their names where nothing is given: "left lung" and "right lung", "clavicle_l" and
    "clavicle_r", "Lunge links" and "Lunge rechts", tooth 11 and tooth 21 (ISO 3950). What may mean
    sides or something else, such as LV and RV, is not paired, but not mirrored either.

    Where pairs are given, films with a side of the same kind that none of them names stay as they
    are: RML beside given LUL and RUL, "right middle lobe" beside given lungs.

    Args:
        class_names: of the data set, in the order of the labels.
        given: the pairs, in place of those found by name; an empty list for no sides at all.

    Raises:
        ValueError: if a given pair is not of two classes, or a class is in more than one.
    """
    names = tuple(class_names)
    if given is None:
        return _by_name(names)
    pairs, found = _check(names, given), _by_name(names)
    paired = {name for pair in pairs for name in pair}
    return Sides(
        names,
        pairs,
        tuple(name for name in found.alone if pairs and name not in paired),
        tuple(name for name in found.unsure if name not in paired)
        if paired & {*found.unsure}
        else (),
    )


def _by_name(names: tuple[str, ...]) -> Sides:
    teeth = find_teeth(names)
    readings = {name: reading for name in names if (reading := read_side(name))}
    pairs, doubtful = _match(names, readings)
    paired = {name for pair in (*pairs, *teeth.pairs) for name in pair}
    unsure = {*doubtful, *teeth.unsure, *_abbreviations(names)}
    if paired or doubtful or any(reading.is_word for reading in readings.values()):
        unsure |= {name for name, reading in readings.items() if _may_be_alone(name, reading)}
    alone = {name for name, reading in readings.items() if reading.is_word} | {*teeth.alone}
    return Sides(
        names,
        (*pairs, *teeth.pairs),
        tuple(name for name in names if name in alone - paired - unsure),
        tuple(name for name in names if name in unsure - paired),
    )


def _check(names: tuple[str, ...], given: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    listed = [name for pair in given for name in pair]
    if any(len(pair) != 2 or pair[0] == pair[1] for pair in given):
        raise ValueError("each of side_pairs has to be two classes")
    for name, count in Counter(listed).items():
        if name not in names:
            raise ValueError(
                f"side_pairs names '{name}', which is no class: they are {', '.join(names)}"
            )
        if count > 1:
            raise ValueError(f"side_pairs names '{name}' {count} times")
    return tuple((pair[0], pair[1]) for pair in given)


def _match(
    names: tuple[str, ...], readings: dict[str, Reading]
) -> tuple[list[tuple[str, str]], set[str]]:
    """The pairs that are certain, and the names of those that are not."""
    by_key = defaultdict(list)
    for name, reading in readings.items():
        by_key[reading.key].append(name)
    pairs, doubtful = [], set[str]()
    for name, reading in readings.items():
        partners, same = by_key[reading.mirrored], by_key[reading.key]
        if not partners:
            continue
        if len(partners) > 1 or len(same) > 1 or _is_doubtful(reading, names):
            doubtful |= {name, *partners}
        elif names.index(name) < names.index(partners[0]):
            pairs.append((name, partners[0]))
    return pairs, doubtful


def _is_doubtful(reading: Reading, names: tuple[str, ...]) -> bool:
    if any(map(_WRITTEN.search, reading.rest)):
        return True
    if not reading.is_letter:
        return not (reading.is_word or reading.rest)  # LT and RT may be letters of lead too
    # L1 and R1 may be parts of a circuit, "part L" and "part R" two of "part A" to "part Z".
    return not _is_lettered(reading.rest) or bool(_other_letters(names, reading.rest, {"l", "r"}))


def _is_lettered(words: Sequence[str]) -> bool:
    return any(len(word) > 1 and word.isalpha() for word in words)


def _other_letters(names: Sequence[str], rest: tuple[str, ...], known: set[str]) -> set[str]:
    """Other letters than the known ones that stand beside the same words."""
    return {
        letter
        for words in map(split_words, names)
        for letter in words
        if len(letter) == 1 and letter.isalpha() and letter not in known
        if tuple(word for word in words if word != letter) == rest
    }


def _may_be_alone(name: str, reading: Reading) -> bool:
    """Whether a short form without a partner is a side, where other classes have sides.

    "Middle lobe R" is, beside "lung L" and "lung R"; L5 and "vertebra L5" are not.
    """
    words = split_words(name)
    counted = any(one in ("l", "r") and next_one.isdecimal() for one, next_one in pairwise(words))
    return not reading.is_word and not counted and _is_lettered(reading.rest)


def _abbreviations(names: tuple[str, ...]) -> set[str]:
    """Names such as LUL and RUL, UR6 and UL6, or "clavicule g" and "clavicule d"."""
    known = {split_words(name): name for name in names}
    found, capitals = set[str](), set[str]()
    for words, name in known.items():
        for place, word in enumerate(words):
            before, after = words[:place], words[place + 1 :]
            for other in _other_abbreviations(word, name, (*before, *after), names):
                partner = known.get((*before, other, *after))
                if partner:
                    found |= {name, partner}
            if 1 < len(word) <= _LONGEST_ABBREVIATION and word[0] in "lr" and word.upper() in name:
                capitals.add(name)
    # RML has no partner, but a side like RUL.
    return found | capitals if found & capitals else found


def _other_abbreviations(
    word: str, name: str, rest: tuple[str, ...], names: tuple[str, ...]
) -> Iterator[str]:
    if word in _QUADRANTS:
        yield _QUADRANTS[word]
    other = _INITIALS.get(word)
    if other and not _other_letters(names, rest, {word, other}):
        yield other
    is_short = len(word) <= _LONGEST_ABBREVIATION - (0 if word.upper() in name else 1)
    if word[0] == "l" and len(word) > 1 and is_short:
        yield f"r{word[1:]}"


def _listed(names: Sequence[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)
