"""Pictures of a run: overlays and label maps, each in a file of a name that no other film gives."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import PurePosixPath
from typing import Final

import numpy as np
import numpy.typing as npt

from solo.command.arguments import Arguments
from solo.formats.coco import CocoEntry
from solo.formats.pictures import describe, encode_png, label_map, overlay
from solo.result import Result

Picture = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_ODD: Final = re.compile(r"^[-. ]+|[^\w.,()+=@ -]")
_DIGEST: Final = re.compile(r"-[0-9a-f]{16}$")
_MOST_BYTES: Final = 150  # leaves room for a digest and a frame in a file system's 255


def write_pictures(arguments: Arguments, name: str, result: Result) -> CocoEntry:
    """Writes the pictures of a frame that are asked for.

    Args:
        arguments: of the run.
        name: the film's in the document.
        result: with the radiograph's pixels where there are overlays.

    Returns:
        The path of each from the document's folder, by what it is.

    Raises:
        OSError: if one cannot be written.
    """
    file_name = picture_name(name, result.radiograph.frame if arguments.frame == "all" else None)
    pictures: dict[str, tuple[str, Picture]] = {}
    if "overlay" in arguments.formats and result.pixels is not None:
        pictures["overlay"] = f"overlays/{file_name}", overlay(result.pixels, result)
    if "label-map" in arguments.formats:
        pictures["label_map"] = f"label-maps/{file_name}", label_map(result)
    for place, picture in pictures.values():
        path = arguments.out / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(picture, describe(result)))
    return {what: place for what, (place, _) in pictures.items()}


def picture_name(name: str, frame: int | None, ending: str = ".png") -> str:
    """The path of a film's picture, made of the film's name and of nothing else.

    Its folder is called like the film's, with a digest of the whole path to that; the file like the
    film, with a digest where a character or the length had to be changed.

    Args:
        name: the film's, as a path with slashes.
        frame: which one, from 0; None where no two frames of a film get pictures.
        ending: of the file.
    """
    path = PurePosixPath(name)
    above = "films" if path.parent.name in ("", "..") else _tame(path.parent.name)
    folder = f"{above}-{_digest(str(path.parent))}"
    tame = _tame(path.name)
    if tame != path.name or _DIGEST.search(tame):
        tame = f"{tame}-{_digest(path.name)}"
    return f"{folder}/{tame}{'' if frame is None else f'.frame-{frame}'}{ending}"


def _tame(text: str) -> str:
    cut = _ODD.sub("_", text).encode()[:_MOST_BYTES]
    return cut.decode(errors="ignore")


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
