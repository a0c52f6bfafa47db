"""Names of mask files: which film a mask is of, and of which class its objects are.

A mask is of the film whose name its own begins with, or whose name a folder above it has. What is
left of its name beside numbers, and the folder that it is in, may say the class.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from datasets.gather.layouts.pictures import ENDINGS
from model.data.annotation_file import split_of
from model.data.coco_files import FILM_FOLDERS

_PLURALS = "masks?|labels?|label[-_ ]?maps?|instances?|ground[-_ ]?truths?|gts?|segmentations?"
_GENERAL = re.compile(
    rf"(?:{_PLURALS}|labels(?:tr|ts)|seg|objects?|segmentationobject(?:png)?|png|"
    rf"(?:manual|instance|object|gt|film|image)[-_ ]?(?:{_PLURALS}))",
    re.IGNORECASE,
)
_OF_ONE_CLASS = re.compile("[a-z0-9_ -]*[-_ ]masks?|[a-z0-9]+Masks?|masks?[-_ ][a-z0-9]+")
_DIGEST = re.compile("-[0-9a-f]{16}$")  # of the folders that `python -m solo` writes
_WORD = re.compile(r"[^\W\d_]+")


def is_mask(path: PurePosixPath) -> bool:
    """Whether a picture's path says that it is a mask: by a folder, or the end of its name."""
    if any(_is_mask_folder(part) for part in path.parts[:-1]):
        return True
    words = [word for word in re.split(r"[_. -]", path.stem) if not word.isdigit()]
    if path.suffix.lower() != ".png" or not _says_mask(words[-1:]):
        return False
    alone = path.parts[-2:-1]  # `p1/mask.png` beside the film of a patient
    return len(words) > 1 or bool(alone and alone[0].casefold() not in FILM_FOLDERS)


def _is_mask_folder(name: str) -> bool:
    return _says_mask([name]) or bool(_OF_ONE_CLASS.fullmatch(name))


def _says_mask(words: Iterable[str]) -> bool:
    """Whether one of some words is general, but for that of a format, which films have too."""
    return any(_GENERAL.fullmatch(word) and word.casefold() != "png" for word in words)


class FilmNames:
    """The films that masks may be of.

    Args:
        films: their paths below the source's folder.
    """

    def __init__(self, films: Iterable[PurePosixPath]) -> None:
        self._by_name: defaultdict[str, set[PurePosixPath]] = defaultdict(set)
        self._by_folder: defaultdict[tuple[str, ...], set[PurePosixPath]] = defaultdict(set)
        self._numbered: set[str] = set()
        for film in films:
            self._by_folder[tuple(_telling(film))].add(film)
            for name in {_stem(film), _plain(film.name)}:
                self._by_name[name].add(film)
                if begin := re.match(r"(.+)[_. -]\d+$", name):
                    self._numbered.add(begin[1])

    def film_of(self, mask: PurePosixPath) -> tuple[PurePosixPath, str]:
        """The film of a mask, and what is left of the mask's name.

        Raises:
            ValueError: if there is none, or if it is not clear which.
        """
        for given, rest in self._readings(mask):
            name = _plain(given)
            found = self._by_name.get(name, set())
            if len(found) > 1:
                own = _telling(mask)
                found = {film for film in found if _telling(film) == own} or {
                    film for film in found if set(_telling(film)) <= set(own)
                }
            if found and name in self._numbered and re.match(r"[_. -]\d", rest):
                raise ValueError(
                    "it may be an object of a film, or of a film with a number that is not there"
                )
            if len(found) == 1:
                return next(iter(found)), rest
            if self._by_name.get(name):
                raise ValueError("it may be of several films of one name")
        folders = tuple(_telling(mask))
        beside = self._by_folder.get(folders, set())
        words = [word for word in re.split(r"[_. -]", mask.stem) if not word.isdigit()]
        if len(beside) == 1 and _says_mask(words) and not any(map(split_of_folder, folders[-1:])):
            return next(iter(beside)), f"_{mask.stem}"  # the one film of a patient's folder
        raise ValueError("there is no film of its name")

    def _readings(self, mask: PurePosixPath) -> Iterator[tuple[str, str]]:
        """Names that its film may have, the longest first, each with the rest."""
        yield mask.stem, ""
        for place in reversed([found.start() for found in re.finditer(r"[_. -]", mask.stem)]):
            yield mask.stem[:place], mask.stem[place:]
        for folder in reversed(mask.parts[:-1]):
            if not _is_mask_folder(folder):
                yield folder, mask.stem


def _plain(name: str) -> str:
    """A name in one spelling: systems differ in how they store letters with accents."""
    return unicodedata.normalize("NFC", name)


def _stem(film: PurePosixPath) -> str:
    """A film's name without the ending of a format; DICOM files may be called by numbers alone."""
    return _plain(film.stem if film.suffix.lower() in ENDINGS else film.name)


def _telling(path: PurePosixPath) -> list[str]:
    """The folders of a path that tell films from each other."""
    return [
        _plain(part)
        for part in path.parts[:-1]
        if not _is_mask_folder(part) and part.casefold() not in FILM_FOLDERS
    ]


def class_of(mask: PurePosixPath, film: PurePosixPath, rest: str) -> str:
    """The class that a mask's name says its objects are of; "" where it says none.

    The words of the rest, unless they are numbers or a hash; else the folder that the masks of many
    films are in.
    """
    parts = re.split(r"[_. -]+", rest)
    if not any(re.search(r"\d", part) and re.search(r"[^\W\d_]", part) for part in parts):
        words = [part for part in parts if _WORD.fullmatch(part) and not _GENERAL.fullmatch(part)]
        if words:
            return "_".join(words)
    for folder in reversed(mask.parts[:-1]):
        if folder in film.parts[:-1] or folder in (film.stem, film.name) or split_of_folder(folder):
            continue
        return "" if _GENERAL.fullmatch(folder) or _DIGEST.search(folder) else folder
    return ""


def split_of_folder(folder: str) -> str:
    """The split that a folder's name says."""
    return split_of(PurePosixPath(folder, "_"))
