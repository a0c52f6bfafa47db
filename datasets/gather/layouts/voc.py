"""Pascal VOC's class pictures: `SegmentationClass` beside `SegmentationObject`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from datasets.gather.layouts.pictures import read_colours
from model.data.coco import DatasetError

VOID = 0xE0E0C0  # the rim around objects: the colour of entry 255 of the palette
_NO_CLASSES = (0, 255, VOID)
_GREY = 0x010101
_OBJECTS, _CLASSES = "segmentationobject", "segmentationclass"
# In the order of the palette from entry 1 on (VOC2012 development kit, 3.2).
_NAMES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)


class VocClasses:
    """Class by object of a data set in Pascal VOC's layout; false where a source is of another.

    Args:
        source: the folder.

    Raises:
        DatasetError: if there are pictures of classes alone.
    """

    def __init__(self, source: Path) -> None:
        folders = {
            path.name.casefold().removesuffix("png"): path
            for path in sorted(source.rglob("[sS]egmentation*"))
            if path.is_dir()
        }
        self._source = source
        self._folder = folders.get(_CLASSES)
        if self._folder is not None and _OBJECTS not in folders:
            raise DatasetError(
                f"{source} looks like Pascal VOC, but has {self._folder.name} alone, which tells "
                "no object from another: export it with SegmentationObject"
            )
        self._names = _read_names(source) if self._folder else {}

    def __bool__(self) -> bool:
        return self._folder is not None

    def classes_of(self, mask: PurePosixPath, labels: npt.NDArray[np.uint32]) -> Mapping[int, str]:
        """The class of most pixels of each object; none of what is background or rim.

        Raises:
            ValueError: if the picture of the classes cannot be read, or has a colour without name.
        """
        assert self._folder is not None
        path = self._folder / mask.name
        if not path.is_file():
            raise ValueError(f"{self._folder.name} has no picture of its name")
        classes = read_colours(path.read_bytes(), (labels.shape[0], labels.shape[1]))
        found = {}
        for value in np.unique(labels[labels > 0]).tolist():
            colours, counts = np.unique(classes[labels == value], return_counts=True)
            colour = int(colours[counts.argmax()])
            name = self._names.get(colour)
            if name is None and colour == (colour & 255) * _GREY:
                name = self._names.get(colour & 255)
            if not colour or (name is None and colour in _NO_CLASSES):
                continue
            if name is None:
                raise ValueError(f"class colour {colour:06x} has no name in labelmap.txt")
            found[value] = name
        return found


def _read_names(source: Path) -> dict[int, str]:
    """Names by colour, or by number where the pictures have numbers for colours.

    From CVAT's `labelmap.txt` (`name:r,g,b:parts:actions`), labelme's `class_names.txt` in the
    order of the palette, or the names of the data set itself.
    """
    names: dict[int, str] = {}
    for path in sorted(source.rglob("labelmap.txt")):
        for line in _lines(path):
            name, _, rest = line.partition(":")
            parts = rest.split(":")[0].split(",")
            if not line.startswith("#") and len(parts) == 3 and all(map(str.isdigit, parts)):
                red, green, blue = map(int, parts)
                names[(red << 16) | (green << 8) | blue] = name
                if red == green == blue:  # in a picture of one channel
                    names[red] = name
        return names
    for path in sorted(source.rglob("class_names.txt")):
        listed = [line for line in _lines(path) if line != "__ignore__"]
        return _by_palette(listed[1:])
    return _by_palette(_NAMES)


def _by_palette(names: tuple[str, ...] | list[str]) -> dict[int, str]:
    return {key: name for number, name in enumerate(names, 1) for key in (number, _colour(number))}


def _lines(path: Path) -> list[str]:
    return [
        line.strip() for line in path.read_text("utf-8", "replace").splitlines() if line.strip()
    ]


def _colour(number: int) -> int:
    """The palette's colour: its bits, three at a time, from the top of red, green and blue down."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= (number >> (3 * place + channel) & 1) << (7 - place)
    return (channels[0] << 16) | (channels[1] << 8) | channels[2]
