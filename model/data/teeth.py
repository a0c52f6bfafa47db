"""Teeth by number: which two are left and right of each other (ISO 3950, the FDI's notation).

The first digit is the quadrant as the patient's mouth is seen from the front: 1 upper right, 2
upper left, 3 lower left, 4 lower right; 5 to 8 are the same of milk teeth. The second digit counts
from the middle.
"""

from __future__ import annotations

import re
from collections import defaultdict
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
    "diş",
    "pieza",
    "牙",
    "齿",
    "歯",
}
_QUADRANT = {"quadrant", "quadrante", "cuadrante", "kwadrant", "sextant"}  # a digit each
_FDI = {10 * quadrant + tooth for quadrant in range(1, 5) for tooth in range(1, 9)} | {
    10 * quadrant + tooth for quadrant in range(5, 9) for tooth in range(1, 6)
}
_UNIVERSAL = 32  # the American numbers end there, and few of the FDI's below it are unlike them
_DOTTED = re.compile(r"(?<![\d.])([1-8])\.([1-8])(?![\d.])")  # tooth 1.1
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
    named: dict[tuple[str, ...], dict[int, str]] = defaultdict(dict)
    bare: dict[int, str] = {}
    unsure: list[str] = []
    for name in class_names:
        words = split_words(_DOTTED.sub(r"\1\2", name))
        numbers = [int(word) for word in words if word.isdecimal() and len(word) <= 2]
        rest = tuple(word for word in words if word not in _TOOTH and not word.isdecimal())
        is_tooth = not _TOOTH.isdisjoint(words)
        if is_tooth and len(numbers) == 1:
            named[rest][numbers[0]] = name
        elif len(words) == len(numbers) == 1:
            bare[numbers[0]] = name
        elif (is_tooth and [len(word) for word in rest] == [1]) or (
            numbers and not _QUADRANT.isdisjoint(words)
        ):
            unsure.append(name)  # tooth A to tooth T are milk teeth by the American notation
    if named:
        return _pair_named(named, unsure)
    if len(bare) < _TELLING:
        return Teeth(unsure=tuple(unsure))
    if _is_fdi(bare):
        return _pair(bare)
    looks_so = bare.keys() <= _FDI or {*range(1, _UNIVERSAL + 1)} <= bare.keys()
    return Teeth(unsure=(*unsure, *bare.values()) if looks_so else tuple(unsure))


def _pair_named(named: dict[tuple[str, ...], dict[int, str]], unsure: list[str]) -> Teeth:
    """Pairs teeth beside the same other words: "tooth 11 crown" with "tooth 21 crown"."""
    numbers = {number: name for group in named.values() for number, name in group.items()}
    if not _is_fdi(numbers):
        names = (name for group in named.values() for name in group.values())
        return Teeth(unsure=(*unsure, *names))
    groups = [_pair(group) for group in named.values()]
    return Teeth(
        tuple(pair for group in groups for pair in group.pairs),
        tuple(name for group in groups for name in group.alone),
        tuple(unsure),
    )


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
