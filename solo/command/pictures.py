"""Pictures of a run: overlays and label maps, each in a file of a name that no other film gives."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import Final

from solo.formats.coco import CocoEntry
from solo.formats.pictures import describe, encode_png, label_map, overlay
from solo.result import Result

_ODD: Final = re.compile(r"^[-. ]+|[^\w.,()+=@ -]")
_DIGEST: Final = re.compile(r"-[0-9a-f]{16}$")
_MOST_BYTES: Final = 150  # leaves room for a digest and a frame in a file system's 255


class Pictures:
    """Writes pictures below a folder.

    Args:
        folder: of the document.
        formats: `overlay`, `label-map`; others are passed over.
        all_frames: whether names tell frames apart.
    """

    def __init__(self, folder: Path, formats: tuple[str, ...], *, all_frames: bool) -> None:
        self._folder = folder
        self.overlays, self.label_maps = "overlay" in formats, "label-map" in formats
        self._all_frames = all_frames

    def write(self, name: str, result: Result) -> CocoEntry:
        """Writes the pictures of a frame.

        Args:
            name: the film's in the document.
            result: with the radiograph's pixels where there are overlays.

        Returns:
            The path of each from the document's folder, by what it is.

        Raises:
            OSError: if one cannot be written.
        """
        file_name = picture_name(name, result.radiograph.frame if self._all_frames else None)
        written: CocoEntry = {}
        if self.overlays and result.pixels is not None:
            written["overlay"] = f"overlays/{file_name}"
            self._put(
                written["overlay"], encode_png(overlay(result.pixels, result), describe(result))
            )
        if self.label_maps:
            written["label_map"] = f"label-maps/{file_name}"
            self._put(written["label_map"], encode_png(label_map(result), describe(result)))
        return written

    def _put(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def picture_name(name: str, frame: int | None) -> str:
    """The path of a film's picture, made of the film's name and of nothing else.

    Its folder is called like the film's, with a digest of the whole path to that; the file like the
    film, with a digest where a character or the length had to be changed.

    Args:
        name: the film's, as a path with slashes.
        frame: which one, from 0; None where no two frames of a film get pictures.
    """
    path = PurePosixPath(name)
    above = "films" if path.parent.name in ("", "..") else _tame(path.parent.name)
    folder = f"{above}-{_digest(str(path.parent))}"
    tame = _tame(path.name)
    if tame != path.name or _DIGEST.search(tame):
        tame = f"{tame}-{_digest(path.name)}"
    return f"{folder}/{tame}{'' if frame is None else f'.frame-{frame}'}.png"


def _tame(text: str) -> str:
    cut = _ODD.sub("_", text).encode()[:_MOST_BYTES]
    return cut.decode(errors="ignore")


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
