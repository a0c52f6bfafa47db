"""Pascal VOC's lists of films by split: `ImageSets/Segmentation/train.txt` and its like."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from datasets.gather.layouts.pictures import ENDINGS
from model.data.annotation_file import SPLITS, split_of
from model.data.coco_files import walk

_FOLDERS = ("imagesets", "segmentation")


class VocSplits:
    """Split by film of a data set in Pascal VOC's layout (VOC2012 development kit, 3.1).

    Lists that say no split, such as `trainval.txt` and CVAT's `default.txt`, are passed over.

    Args:
        source: the folder.
    """

    def __init__(self, source: Path) -> None:
        self._splits: dict[tuple[str, ...], str] = {}
        lists = [
            (split, path)
            for path in walk(source)
            if path.suffix.lower() == ".txt"
            and tuple(part.casefold() for part in path.parts[-3:-1]) == _FOLDERS
            and (split := split_of(PurePosixPath(path.name)))
        ]
        for split, path in sorted(lists, key=lambda each: SPLITS.index(each[0])):
            for line in path.read_text("utf-8-sig", "replace").splitlines():
                if line.strip():  # a film of two lists stays in the later one, untrained
                    self._splits[_name(PurePosixPath(line.strip().replace("\\", "/")))] = split

    def of(self, film: PurePosixPath) -> str:
        """The split of a film by its name, with its folders or without; "" where none lists it."""
        parts = _name(film)
        found = (self._splits.get(parts[start:]) for start in range(len(parts)))
        return next(filter(None, found), "")


def _name(path: PurePosixPath) -> tuple[str, ...]:
    return (path.with_suffix("") if path.suffix.lower() in ENDINGS else path).parts
