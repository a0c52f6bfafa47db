"""Masks and label maps beside films: PNG files in which each value that is not 0 is one object.

A folder of one mask an object is the same with one value a file. Pascal VOC has the class of each
object in a second picture, the pictures of the service in a text.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from datasets.gather.layouts.export import Export
from datasets.gather.layouts.mask_names import FilmNames, class_of, is_mask
from datasets.gather.layouts.pictures import (
    Size,
    as_rle,
    film_size,
    pictures,
    read_colours,
    read_labels,
)
from datasets.gather.layouts.soft_edges import harden
from datasets.gather.layouts.translation import Translation
from datasets.gather.layouts.voc import VOID, VocClasses
from datasets.gather.layouts.voc_splits import VocSplits
from model.data.annotation_file import split_of
from model.data.coco import DatasetError
from model.data.coco_files import walk
from solo.decoding.decode import sniff

Labels = npt.NDArray[np.uint32]
_PASSED_OVER = re.compile(
    "overlays|thumbnails|visuali[sz]ations?|segmentationclass.*|segmentationobjectvis.*",
    re.IGNORECASE,
)
_OF_NO_FILM = (".gif", ".bmp", ".webp")  # endings of masks that are told, and of nothing else
_MOST_OBJECTS = 1000  # of a film; a picture that is no label map has more


def recognise_masks(source: Path) -> str:
    """Names the first mask beside films; "" where there is none."""
    films, masks = _files(source)
    return f"masks ({masks[0]})" if films and masks else ""


def read_masks(source: Path, class_name: str) -> Iterator[Export]:
    """Reads masks, a document for each split.

    Args:
        source: the folder that has films and masks.
        class_name: of the objects whose class nothing else says; "" for none.

    Raises:
        DatasetError: if the class of an object is not said, or no film can be read.
    """
    films, masks = _files(source)
    _refuse_semantic(source)
    _require_png(source, masks)
    translation, voc = Translation(source), VocClasses(source)
    unnamed: list[PurePosixPath] = []
    by_film = _by_film(films, masks, translation)
    splits = VocSplits(source)
    for path in films:
        split = splits.of(path) or split_of(path.with_name("_"))
        own = by_film.get(path, [])
        try:
            _require_mask(source, [mask for mask, _ in own])
            size = film_size((source / path).read_bytes())
        except ValueError as error:
            translation.drop(f"'{path}': {error}", films=1, instances=len(own), split=split)
            continue
        key = translation.add_film(source / path, size, split)
        for mask, name in own:
            try:
                for called, labels in _objects(source, mask, size, voc, translation):
                    if called or name or class_name:
                        translation.add_object(key, called or name or class_name, as_rle(labels))
                    else:
                        unnamed.append(mask)
            except ValueError as error:
                translation.drop(f"the mask '{mask}': {error}", instances=1, split=split)
    if unnamed:
        raise DatasetError(
            f"{source} looks like films with masks in which each value is one object, such as "
            f"{unnamed[0]}, but nothing says of which class they are: name it by --class NAME, or "
            "put the masks into a folder for each class"
        )
    if not voc:
        _say_what_was_understood(translation, by_film)
    yield from translation.exports()


def _require_png(source: Path, masks: list[PurePosixPath]) -> None:
    if not any(_is_png(source / mask) for mask in masks):
        raise DatasetError(
            f"{source}: masks have to be PNG files, whose values are exact. {masks[0]} is none, "
            "nor is any other: save them as PNG"
        )


def _require_mask(source: Path, masks: list[PurePosixPath]) -> None:
    """Checks that a film has a mask that may be read, else it would be one without objects."""
    if not masks:
        raise ValueError("it has no mask: a film without objects needs one that is all 0")
    if not any(_is_png(source / mask) for mask in masks):
        raise ValueError(f"its mask '{masks[0]}' is no PNG file: save it as PNG")


def _is_png(path: Path) -> bool:
    with path.open("rb") as file:
        return sniff(file.read(16)) == "png"


def _refuse_semantic(source: Path) -> None:
    if any(path.name == "_classes.csv" for path in walk(source)):
        raise DatasetError(
            f"{source} looks like Roboflow's semantic masks, whose values are classes, which tell "
            "no object from another: export it as COCO segmentation"
        )


def _say_what_was_understood(
    translation: Translation, by_film: Mapping[PurePosixPath, list[tuple[PurePosixPath, str]]]
) -> None:
    translation.notes["Each value of a mask that is not 0 is taken for one object."] = None
    said = sorted({name for own in by_film.values() for _, name in own} - {""})
    if said:
        translation.notes[f"Classes that names of masks say: {', '.join(said)}."] = None


def _by_film(
    films: list[PurePosixPath], masks: list[PurePosixPath], translation: Translation
) -> dict[PurePosixPath, list[tuple[PurePosixPath, str]]]:
    """The masks of each film, with the class that their names say."""
    names = FilmNames(films)
    by_film: defaultdict[PurePosixPath, list[tuple[PurePosixPath, str]]] = defaultdict(list)
    for mask in masks:
        try:
            film, rest = names.film_of(mask)
        except ValueError as error:
            translation.drop(f"the mask '{mask}' is of no film: {error}", instances=1)
            continue
        by_film[film].append((mask, class_of(mask, film, rest)))
    return by_film


def _objects(
    source: Path, mask: PurePosixPath, size: Size, voc: VocClasses, translation: Translation
) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Each object of a mask, with the class that the pictures say; "" for none."""
    content = (source / mask).read_bytes()
    labels = _read(translation, content, size)
    classes = voc.classes_of(mask, labels) if voc else _described(content)
    for value in np.unique(labels[labels > 0]).tolist():
        if value in classes or not voc:
            yield classes.get(value, ""), labels == value


def _files(source: Path) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
    """Films and masks below a folder."""
    films: list[PurePosixPath] = []
    masks: list[PurePosixPath] = []
    found = list(pictures(source)) if source.is_dir() else []
    if found:
        found += sorted(path for path in walk(source) if path.suffix.lower() in _OF_NO_FILM)
    # What all are in, as the folder of an archive, tells none from another.
    top = Path(os.path.commonpath([path.parent for path in found])) if found else source
    for path in found:
        below = PurePosixPath(path.relative_to(source).as_posix())
        if not any(map(_PASSED_OVER.fullmatch, below.parts[:-1])):
            is_one = is_mask(PurePosixPath(path.relative_to(top).as_posix()))
            if is_one or below.suffix.lower() not in _OF_NO_FILM:
                (masks if is_one else films).append(below)
    return films, masks


def _read(translation: Translation, content: bytes, size: Size) -> Labels:
    """A mask's values; those of soft edges are taken to one object's mask."""
    labels = read_labels(content, size)
    labels[read_colours(content, size) == VOID] = 0
    hard = harden(labels)
    if hard is not None:
        translation.notes[
            "Masks with soft edges are taken for one object each: its pixels are of more than half "
            "of the largest value."
        ] = None
        return hard
    values = np.unique(labels[labels > 0])
    if len(values) > _MOST_OBJECTS:
        raise ValueError(f"it has {len(values):,} values, as no mask of objects has")
    return labels


def _described(content: bytes) -> Mapping[int, str]:
    """Class by value, from the text that pictures of `python -m solo` and of the service have."""
    place = 8
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"tEXt" and content[place + 8 : place + 16] == b"Comment\0":
            try:
                instances = json.loads(content[place + 16 : place + 8 + length])["instances"]
                return {number: str(found["label"]) for number, found in enumerate(instances, 1)}
            except (ValueError, RecursionError, KeyError, TypeError):
                return {}
        place += 12 + length
    return {}
