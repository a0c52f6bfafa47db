"""Gathers several data sets into one checked COCO data set.

python -m datasets.gather old/ corrected.zip --out all

A source is a COCO data set as training takes it (its folder, or its JSON file with the films beside
it), a folder of DICOM films with SEG objects, or a zip file of either. Classes are merged by name.
Every film is kept once: where two sources show the same film, the later one on the command line
counts. Entries that cannot be trained on are dropped, and the table at the end says how many and
why.

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
from datasets.gather.source import read_source
from model.cli import finish


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    return finish(
        lambda: _gather(arguments.sources, arguments.out),
        interrupted="interrupted: nothing was written",
    )


def _gather(paths: list[Path], out: Path) -> None:
    with working_folder(out) as work:
        sources = [read_source(path, work / str(place)) for place, path in enumerate(paths)]
        categories = merge_categories(sources)
        seen = look_at(sources)
        entries = merge_films(seen)
        write_folder(out, work, entries, categories)
    for line in table((source.ledger for source in sources), str(out)):
        print(line)  # noqa: T201  # the command's answer
    for sentence in remarks(seen, entries, categories):
        print(f"- {sentence}")  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m datasets.gather",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("sources", nargs="+", type=Path, metavar="SOURCE", help="a data set, or a zip file of one")
    add("--out", type=Path, required=True, help="a folder, new or empty")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
