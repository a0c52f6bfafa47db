"""Arguments of `python -m solo`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from solo import __version__
from solo.contract.manifest import RESEARCH_USE_ONLY
from solo.errors import InvalidParameterError
from solo.inference.providers import Provider
from solo.options import Options
from solo.zoo import DEFAULT

PROGRAM: Final = "python -m solo"

Format = Literal["coco", "overlay", "label-map", "seg", "gsps", "sc"]


class UsageError(Exception):
    """The command cannot be meant so; the message is one sentence for who typed it."""


@dataclass(frozen=True)
class Arguments:
    """What is asked for.

    Attributes:
        sources: files and folders.
        out: folder for what is written.
        model: a path, or the name of a bundled model.
        formats: what is written, in the order of `Format`.
        frame: which frames of a film are images: the first one, or all.
        options: which instances are wanted.
        cores: processor cores to use; None for those that the process may use.
        provider: what computes.
    """

    sources: list[Path]
    out: Path
    model: str
    formats: tuple[Format, ...]
    frame: Literal["first", "all"]
    options: Options
    cores: int | None
    provider: Provider


def parse(words: Sequence[str] | None) -> Arguments:
    """Reads the command line.

    Args:
        words: those after the program's name; None for this process's own.

    Raises:
        SystemExit: with 2 for words that mean nothing, with 0 for `--help`.
    """
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Segments radiographs (DICOM, PNG, JPEG, TIFF), folders of them with all that "
        "is below, into DIR/annotations.json, pictures and DICOM objects. The same command again "
        f"goes on where the last run stopped. {RESEARCH_USE_ONLY}",
    )
    parser.add_argument(
        "sources", nargs="+", type=Path, metavar="FILE-OR-FOLDER", help="films, or folders of them"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="for the results")
    parser.add_argument("--model", default=DEFAULT, help=f"ONNX file or bundled name ({DEFAULT})")
    parser.add_argument(
        "--format",
        dest="formats",
        default=("coco",),
        type=_formats,
        metavar="LIST",
        help=f"what to write, with commas between: {', '.join(get_args(Format))} (coco)",
    )
    parser.add_argument(
        "--frame",
        default="first",
        choices=("first", "all"),
        help="which frames of a film with many (first)",
    )
    parser.add_argument("--score-threshold", type=float, metavar="SCORE", help="least score")
    parser.add_argument("--cores", type=_cores, metavar="N", help="processor cores to use (all)")
    parser.add_argument("--version", action="version", version=f"solo-xray {__version__}")
    parser.add_argument("--provider", default="auto", choices=get_args(Provider), help="(auto)")
    words = _without_dashes(sys.argv[1:] if words is None else words)
    given = vars(parser.parse_intermixed_args(words))
    try:
        options = Options(score_threshold=given.pop("score_threshold"))
    except InvalidParameterError as error:
        parser.error(error.detail)
    return Arguments(**given, options=options)


def _without_dashes(words: Sequence[str]) -> list[str]:
    """Words without `--`, after which all are names: argparse passes none of them on."""
    if "--" not in words:
        return list(words)
    end = words.index("--")
    names = (f"./{name}" if name.startswith("-") else name for name in words[end + 1 :])
    return [*words[:end], *names]


def _formats(text: str) -> tuple[Format, ...]:
    asked = {word.strip() for word in text.split(",")}
    if unknown := asked.difference(get_args(Format)):
        raise argparse.ArgumentTypeError(f"there is no format {', '.join(sorted(unknown))!r}")
    return tuple(form for form in get_args(Format) if form in asked)


def _cores(text: str) -> int:
    cores = int(text) if text.isdecimal() else 0
    if cores < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of cores")
    return cores
