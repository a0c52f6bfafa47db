"""Teeth by number: which two are left and right of each other (ISO 3950, the FDI's notation).

The first digit is the quadrant as the patient's mouth is seen from the front: 1 upper right, 2
upper left, 3 lower left, 4 lower right; 5 to 8 are the same of milk teeth. The second digit counts
from the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.data.side_words import split_words

_TOOTH = {
    "tooth",
    "teeth",
    "fdi",
    "zahn",
    "zähne",
    "dent",
    "dents",
    "diente",
    "dientes",
    "dente",
    "denti",
    "dentes",
    "tand",
    "zub",
    "ząb",
    "зуб",
}
_FDI = {10 * quadrant + tooth for quadrant in range(1, 5) for tooth in range(1, 9)} | {
    10 * quadrant + tooth for quadrant in range(5, 9) for tooth in range(1, 6)
}
_UNIVERSAL = 32  # the American numbers end there, and few of the FDI's below it are unlike them
_TELLING = 8  # so many bare numbers, all of them teeth's, are meant as such


@dataclass(frozen=True)
class Teeth:
    """Pairs of teeth, those whose partner is no class, and those of an unknown notation."""

    pairs: tuple[tuple[str, str], ...] = ()
    alone: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


def find_teeth(class_names: Sequence[str]) -> Teeth:
    """Finds teeth among classes: "tooth 11", or bare numbers that can mean nothing else.

    A number above 32 tells the FDI's notation from the American one, in which 11 is another tooth.
    """
    named: dict[int, str] = {}
    bare: dict[int, str] = {}
    for name in class_names:
        words = split_words(name)
        numbers = [word for word in words if word not in _TOOTH]
        if len(numbers) == 1 and numbers[0].isdecimal() and len(numbers[0]) <= 2:
            (bare if len(words) == 1 else named)[int(numbers[0])] = name
    if named:
        return _pair(named) if _is_fdi(named) else Teeth(unsure=tuple(named.values()))
    if len(bare) < _TELLING:
        return Teeth()
    if _is_fdi(bare):
        return _pair(bare)
    looks_so = bare.keys() <= _FDI or {*range(1, _UNIVERSAL + 1)} <= bare.keys()
    return Teeth(unsure=tuple(bare.values()) if looks_so else ())


def _is_fdi(numbers: dict[int, str]) -> bool:
    return numbers.keys() <= _FDI and max(numbers) > _UNIVERSAL


def _pair(numbers: dict[int, str]) -> Teeth:
    partner = {number: number + (10 if number // 10 % 2 else -10) for number in numbers}
    return Teeth(
        tuple(
            (name, numbers[partner[number]])
            for number, name in numbers.items()
            if partner[number] in numbers and number < partner[number]
        ),
        tuple(name for number, name in numbers.items() if partner[number] not in numbers),
    )
