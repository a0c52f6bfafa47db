"""Detection of a source's layout by its content: the one list of what is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from datasets.gather.layouts.coco import read_coco, recognise_coco
from datasets.gather.layouts.export import Export
from datasets.gather.layouts.labelme import read_labelme, recognise_labelme
from datasets.gather.layouts.masks import read_masks, recognise_masks
from datasets.gather.layouts.voc import VocClasses
from datasets.gather.layouts.yolo import read_yolo, recognise_yolo
from model.data.coco import DatasetError

Reader = Callable[[Path, Path, str], Iterator[Export]]

# A layout that lists its films comes before what files are called. Each first function names what
# it has found in a folder, or says "".
_LISTED: tuple[tuple[Callable[[Path], str], Reader], ...] = (
    (recognise_coco, lambda source, _scratch, _name: read_coco(source)),
    (recognise_labelme, lambda source, scratch, _name: read_labelme(source, scratch)),
    (recognise_yolo, lambda source, _scratch, _name: read_yolo(source)),
)


def read_exports(source: Path, scratch: Path, class_name: str) -> Iterator[Export]:
    """Reads a source in whatever layout it is.

    Args:
        source: a folder, the JSON file of a COCO data set, or the YAML file of one of YOLO's.
        scratch: a folder for films that are in no file of their own.
        class_name: of objects whose layout has no classes; "" if none is known.

    Raises:
        DatasetError: if it is none of the layouts or may be several, or cannot be read.
    """
    if source.is_file():
        return (read_yolo if source.suffix in (".yaml", ".yml") else read_coco)(source)
    found = [(what, read) for recognise, read in _LISTED if (what := recognise(source))]
    if len(found) > 1:
        raise DatasetError(
            f"{source} may be {' or '.join(what for what, _ in found)}: give a folder with one of "
            "them and the films, or the path of the JSON or YAML file that is meant"
        )
    if found:
        return found[0][1](source, scratch, class_name)
    if source.is_dir():
        VocClasses(source)  # which refuses class masks without objects
    if recognise_masks(source):
        return read_masks(source, class_name)
    try:
        return iter(list(read_coco(source)))  # which says what it misses
    except DatasetError as error:
        raise DatasetError(
            f"{error}; nor labelme's files, YOLO's data.yaml beside labels, or films with masks in "
            "a folder such as 'masks'"
            if source.is_dir()
            else str(error)
        ) from None
