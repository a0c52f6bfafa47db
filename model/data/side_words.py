"""Left and right in class names: the words of many languages, and how a name is read."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Side = Literal["left", "right"]

# Of each language: words for left, for right, and short forms that count beside a partner alone.
_LANGUAGES = {
    "en": (
        "left leftsided sinistral levo",
        "right rightsided dextral dextro",
        "l lt lft",
        "r rt rgt",
    ),
    "de, nl": (
        "links linke linker linkes linken linkem linksseitig linksseitige linksseitiger",
        "rechts rechte rechter rechtes rechten rechtem rechtsseitig rechtsseitige rechtsseitiger",
        "li lks",
        "re rts",
    ),
    "fr": (
        "gauche gauches",
        "droit droite droits droites",
        "gche gch",
        "dte drt",
    ),
    "es": (
        "izquierdo izquierda izquierdos izquierdas",
        "derecho derecha derechos derechas",
        "izq izdo izda izqdo izqda",
        "der dcho dcha",
    ),
    "pt": (
        "esquerdo esquerda esquerdos esquerdas",
        "direito direita direitos direitas",
        "esq",
        "dir",
    ),
    "la, it": (
        "sinister sinistra sinistrum sinistri sinistrae sinistro sinistre",
        "dexter dextra dextrum dextri dextrae destro destra destri destre",
        "sin sx",
        "dex dext dx",
    ),
    "da, no, sv": ("venstre vänster vänstra", "højre høyre höger högra", "", ""),
    "fi": ("vasen vasemman", "oikea oikean", "", ""),
    "pl": (
        "lewy lewa lewe lewego lewej lewo",
        "prawy prawa prawe prawego prawej prawo",
        "",
        "",
    ),
    "cs, sk": (
        "levý levá levé vlevo ľavý ľavá ľavé vľavo",
        "pravý pravá pravé vpravo",
        "",
        "",
    ),
    "hu": ("", "", "bal", "jobb"),
    "ro": ("stâng stângă stânga", "dreaptă dreapta", "", "drept"),
    "el": ("αριστερός αριστερή αριστερό αριστερά", "δεξιός δεξιά δεξιό δεξιά", "", ""),
    "tr": ("", "", "sol", "sağ"),
    "ru, uk": (
        "левый левая левое левого левой лівий ліва ліве лівої лівого",
        "правый правая правое правого правой правий права праве правої",
        "",
        "",
    ),
    "ar": ("يسار أيسر الأيسر يسرى اليسرى", "يمين أيمن الأيمن يمنى اليمنى", "", ""),
    "ko": ("왼쪽 좌측", "오른쪽 우측", "", ""),
    "vi": ("trái", "phải", "", ""),
    "id, ms": ("kiri", "kanan", "", ""),
    "zh, ja": ("左", "右", "", ""),
}
_LEFT_AND_RIGHT = (
    ("left", "right"),
    ("linker", "rechter"),
    ("linke", "rechte"),
    ("links", "rechts"),
    ("levo", "dextro"),
)
_LEAST_JOINED = 3  # letters of the word that a side is written together with: no "bright"


def _table(columns: tuple[int, int]) -> dict[str, tuple[str, Side]]:
    sides: tuple[Side, Side] = ("left", "right")
    return {
        word.casefold(): (language, side)
        for language, words in _LANGUAGES.items()
        for side, column in zip(sides, columns, strict=True)
        for word in words[column].split()
    }


_WORDS, _SHORT = _table((0, 1)), _table((2, 3))


@dataclass(frozen=True)
class Reading:
    """A class name with sides in it.

    Attributes:
        rest: its other words, in small letters.
        language: of the words for the sides.
        sides: in the order of the name, mostly one.
        is_word: whether the side is a whole word, which means a side in a name alone too.
        is_letter: whether it is but L or R.
    """

    rest: tuple[str, ...]
    language: str
    sides: tuple[Side, ...]
    is_word: bool
    is_letter: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        """What no other class of a data set should share."""
        return self.rest, self.language, self.sides

    @property
    def mirrored(self) -> tuple[object, ...]:
        """The key of its partner."""
        flipped = tuple("right" if side == "left" else "left" for side in self.sides)
        return self.rest, self.language, flipped


def split_words(name: str) -> tuple[str, ...]:
    """The words and numbers of a name, in small letters: "LeftLung_2" is left, lung, 2."""
    text = unicodedata.normalize("NFKC", name)
    text = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", text)  # leftLung
    text = re.sub(r"(^|[\W_])([LR])(?=[A-Z][a-z])", r"\1\2 ", text)  # LLung
    return tuple(word.casefold() for word in re.findall(r"\d+|[左右]|[^\W\d_左右]+", text))


def read_side(name: str) -> Reading | None:
    """Reads the sides of a name: whole words first, then short forms, then words run together."""
    words = split_words(name)
    for table in (_WORDS, _SHORT):
        found = [table[word] for word in words if word in table]
        if found:
            language = found[0][0]
            rest = tuple(word for word in words if table.get(word, ("",))[0] != language)
            sides = tuple(side for spoken, side in found if spoken == language)
            letter = table is _SHORT and any(word in ("l", "r") for word in words)
            return Reading(rest, language, sides, table is _WORDS, letter)
    return _read_joined(words)


def _read_joined(words: tuple[str, ...]) -> Reading | None:
    """Reads "leftlung", "lungleft" or "linkerlong"."""
    for place, word in enumerate(words):
        for left, right in _LEFT_AND_RIGHT:
            for side in (left, right):
                rest = word.removeprefix(side)
                rest = word.removesuffix(side) if rest == word else rest
                if len(word) - len(rest) == len(side) and len(rest) >= _LEAST_JOINED:
                    others = (*words[:place], rest, *words[place + 1 :])
                    language, which = _WORDS[side]
                    return Reading(others, language, (which,), is_word=False)
    return None
