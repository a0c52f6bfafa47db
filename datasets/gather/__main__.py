"""Gathers several data sets into one checked COCO data set.

python -m datasets.gather old/ corrected.zip --out all

A source is a folder, or a zip file of one, as annotation tools export it: COCO (of CVAT, Roboflow,
FiftyOne, Label Studio), YOLO with polygons, labelme, films with masks (one value an object, or a
file an object), or DICOM films with SEG objects. Its layout is told by its content. Classes are
merged by name. Every film is kept once: where two sources show the same film, the later one on the
command line counts. Entries that cannot be trained on are dropped, and the table at the end says
how many and why.

Where a source has splits there are several data sets, DIR/train, DIR/val and DIR/test.

Of SEG objects that show the same class on a film one counts, as a whole: one that a person had a
hand in (not all segments AUTOMATIC) before a model's own, then the later one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from datasets.gather.folder import working_folder, write_folder
from datasets.gather.ledger import table
from datasets.gather.merge import merge_categories, merge_films, remarks
from datasets.gather.picture import look_at
from datasets.gather.source import read_sources
from model.cli import finish
from model.data.coco import DatasetError


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    return finish(
        lambda: _gather(arguments.sources, arguments.out, arguments.class_name),
        interrupted="interrupted: nothing was written",
    )


def _gather(paths: list[Path], out: Path, class_name: str) -> None:
    with working_folder(out) as work:
        sources = [
            source
            for place, path in enumerate(paths)
            for source in read_sources(path, work / str(place), class_name)
        ]
        categories = merge_categories(sources)
        seen = look_at(sources)
        entries = merge_films(seen)
        try:
            write_folder(out, work, entries, categories)
        except DatasetError as error:  # what was dropped says why
            raise DatasetError(
                str(error), *(line for source in sources for line in source.ledger.losses())
            ) from None
    for line in table((source.ledger for source in sources), str(out)):
        print(line)  # noqa: T201  # the command's answer
    for sentence in remarks(seen, entries, categories):
        print(f"- {sentence}")  # noqa: T201
    if class_name and class_name not in categories:
        print(f"- No object is a '{class_name}': all masks say their classes.")  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m datasets.gather",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "sources",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="a folder, a zip file, or a JSON or YAML file",
    )
    add("--out", type=Path, required=True, help="a folder, new or empty")
    add(
        "--class",
        dest="class_name",
        default="",
        metavar="NAME",
        help="the class of the objects in masks that say none",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
