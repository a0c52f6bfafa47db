"""How uncertain outlines are, and which pieces of them are islands, beside the annotated objects.

    python -m experiments.outlines model/zoo/cxr-lungs.onnx --data DIR

Prints tables in Markdown: how well measures of a soft mask tell the true Dice, for films that the
model has not seen; how many pieces the masks have, how far from the rest; and how the Dice changes
where islands of so many pixels are removed, with those that `island_pixels` of 8 would remove.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.outlines.islands import GAPS, SIZES, removals, smaller_pieces
from experiments.outlines.judged import Judged, judge
from experiments.outlines.uncertainty import MEASURES, pearson, spearman
from model.data.coco import DatasetError, load_coco
from solo.inference.engine import ModelError

_LISTED = 8  # pixels of the islands that are told one by one


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.outlines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="an ONNX file")
    parser.add_argument("--data", type=Path, required=True, help="a COCO data set")
    arguments = parser.parse_args(argv)
    try:
        manifest, films = judge(arguments.model, load_coco(arguments.data))
        judged = [one for film in films for one in film]
    except (DatasetError, ModelError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print_uncertainty(judged, manifest.mask_threshold)
    print_pieces(judged, manifest.mask_threshold)
    print_removals(judged, manifest.mask_threshold)
    return 0


def print_uncertainty(judged: Sequence[Judged], threshold: float) -> None:
    """Each measure's correlation with the Dice, and the Dice of the tenth that it doubts most."""
    true = np.array([one.dice for one in judged])
    print(f"{len(judged)} instances, Dice {true.mean():.3f} on average.\n")
    print("| measure | Pearson | Spearman | Dice of the worst tenth | of the rest |")
    print("|---|---|---|---|---|")
    for name, measure in MEASURES.items():
        values = np.array([measure(one, threshold) for one in judged])
        correlation = pearson(values, true)
        order = np.argsort(values if correlation > 0 else -values, kind="stable")
        worst, rest = np.split(true[order], [len(true) // 10])
        print(
            f"| {name} | {correlation:.2f} | {spearman(values, true):.2f} | "
            f"{worst.mean():.3f} | {rest.mean():.3f} |"
        )


def print_pieces(judged: Sequence[Judged], threshold: float) -> None:
    """Pieces beside the largest, by size and by the gap to the nearest other piece."""
    pieces = [piece for one in judged for piece in smaller_pieces(one, threshold)]
    print(f"\n{len(pieces)} pieces beside the largest of their mask, by the gap to the nearest.\n")
    sizes = [*zip((0, *SIZES), (*SIZES, sys.maxsize), strict=True)]
    gaps = [*zip((0, *GAPS), (*GAPS, sys.maxsize), strict=True)]
    print(f"| pixels | {' | '.join(_span(*gap) for gap in gaps)} |")
    print(f"|---|{'---|' * len(gaps)}")
    for above, most in sizes:
        own = [piece.gap for piece in pieces if above < piece.pixels <= most]
        counts = [sum(low < gap <= high for gap in own) for low, high in gaps]
        print(f"| {_span(above, most)} | {' | '.join(map(str, counts))} |")


def print_removals(judged: Sequence[Judged], threshold: float) -> None:
    """How many masks lose islands of each size, and what it does to their Dice."""
    print("\n| island_pixels | masks | better | worse | mean change of the Dice | least | most |")
    print("|---|---|---|---|---|---|---|")
    for most in SIZES:
        found = removals(judged, most, threshold)
        gains = np.array([each.gain for each in found] or [0.0])
        print(
            f"| {most} | {len(found)} | {(gains > 0).sum()} | {(gains < 0).sum()} | "
            f"{gains.mean():+.5f} | {gains.min():+.5f} | {gains.max():+.5f} |"
        )
    print(f"\nIslands of at most {_LISTED} pixels:\n")
    for each in removals(judged, _LISTED, threshold):
        print(
            f"- {each.judged.film}: {each.judged.name}, score {each.judged.score:.2f}, "
            f"{each.pixels} pixels, Dice {each.judged.dice:.4f} to {each.dice:.4f}"
        )


def _span(above: int, most: int) -> str:
    if most == sys.maxsize:
        return f"{above + 1} or more"
    return str(most) if most == above + 1 else f"{above + 1} to {most}"


if __name__ == "__main__":
    raise SystemExit(main())
