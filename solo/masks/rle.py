"""Run-length encoding of soft masks at native size, without ever making a native mask.

Bilinear interpolation is linear along a column between two source rows, so the row where the mask
crosses its threshold can be solved for, and the runs written from the crossings. The result is what
`Letterbox.restore` and pycocotools give, up to rounding at pixels that lie on the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.masks.crossings import Columns, Floats, Integers, crossings

_TOGETHER: Final = 32  # masks: enough to hide what each call costs, and few megabytes


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class MaskRuns:
    """One mask in the pixels of its image, as run lengths; never changed.

    Attributes:
        size: (height, width) of the image.
        counts: int64 [n], COCO's uncompressed run lengths: pixels down the columns, background and
            mask in turn, beginning with background.
        area: pixels in the mask.
        bbox: (x, y, width, height) in pixels; zeros for an empty mask.
    """

    size: tuple[int, int]
    counts: Integers
    area: int
    bbox: tuple[int, int, int, int]

    def compressed(self) -> str:
        """COCO's compressed run lengths, ASCII."""
        runs = {"counts": self.counts.astype(np.uint32), "size": list(self.size)}
        text: bytes = coco_mask.frPyObjects(runs, *self.size)["counts"]
        return text.decode("ascii")

    def edges(self) -> Integers:
        """The first pixel of each run of the mask and the one after its last: int64 [n, 2].

        Pixels are counted down the columns.
        """
        ends = np.cumsum(self.counts)
        return ends[: len(ends) // 2 * 2].reshape(-1, 2)

    def column_runs(self) -> tuple[Integers, Integers, Integers]:
        """The runs of each column: its number, the first row and the row after the last, int64 [n].

        A run that goes on in the next column is one in each.
        """
        height = self.size[0]
        first, end = self.edges().T
        columns = (end - 1) // height - first // height + 1
        before = np.cumsum(columns) - columns
        column = np.repeat(first // height - before, columns) + np.arange(columns.sum())
        start = np.repeat(first, columns) - column * height
        stop = np.repeat(end, columns) - column * height
        return column, np.maximum(start, 0), np.minimum(stop, height)

    def mask(self) -> npt.NDArray[np.bool_]:
        """The whole mask: bool [height, width]."""
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(inside, self.counts).reshape(self.size[::-1]).T


def encode(
    instances: Instances, letterbox: Letterbox, mask_threshold: float = 0.5
) -> list[MaskRuns]:
    """Encodes each instance's mask at the size of the letterbox's image.

    Args:
        instances: soft masks over the canvas.
        letterbox: where the image lies on the canvas.
        mask_threshold: a pixel belongs to the mask above this probability.
    """
    size, threshold = letterbox.image_size, np.float32(255 * mask_threshold)
    encoded: list[MaskRuns] = []
    for start in range(0, len(instances), _TOGETHER):
        soft = letterbox.content(instances.masks[start : start + _TOGETHER])
        encoded += _encode_some(soft, size, threshold)
    return encoded


def _encode_some(soft: Floats, size: tuple[int, int], threshold: np.float32) -> list[MaskRuns]:
    count, rows, _ = soft.shape
    columns = Columns.of(soft.shape[2], size[1])
    mask, x, row, position = crossings(soft, columns, threshold)
    order = _order((mask * size[1] + x) * np.int64(rows + 2) + row)
    mask, x, position = mask[order[::2]], x[order[::2]], position[order]
    scale = size[0] / rows
    # A native row is inside where its source position lies strictly past the rise ...
    start = np.floor((position[::2] + 0.5) * scale - 0.5).astype(np.int64) + 1
    # ... and outside from the fall on. Infinite positions are runs that reach the border.
    end = np.ceil((position[1::2] + 0.5) * scale - 0.5).astype(np.int64)
    start, end = np.clip(start, 0, size[0]), np.clip(end, 0, size[0])
    seen = end > start
    return _from_runs(mask[seen], x[seen], start[seen], end[seen], count, size)


def _order(keys: Integers) -> Integers:
    """Indices that sort distinct keys; sorting both as one number is faster than np.argsort."""
    bits = len(keys).bit_length()
    both = np.sort((keys << bits) | np.arange(len(keys)))
    return np.asarray(both & ((1 << bits) - 1))


def _from_runs(
    mask: Integers, x: Integers, start: Integers, end: Integers, count: int, size: tuple[int, int]
) -> list[MaskRuns]:
    """Encodes foreground runs: rows [start, end) of a column of a mask, in order."""
    height, width = size
    first, last = (np.searchsorted(mask, np.arange(count), side=side) for side in ("left", "right"))
    found = np.flatnonzero(last > first)
    areas, boxes = np.zeros(count, np.int64), np.zeros((count, 4), np.int64)
    if len(found):
        at = first[found]
        areas[found] = np.add.reduceat(end - start, at)
        left, top = x[at], np.minimum.reduceat(start, at)
        right, bottom = x[last[found] - 1] + 1, np.maximum.reduceat(end, at)
        boxes[found] = np.column_stack([left, top, right - left, bottom - top])
    counts = _counts(mask, x * height + start, x * height + end, count, height * width)
    return [
        MaskRuns(size, some, area, (box[0], box[1], box[2], box[3]))
        for some, area, box in zip(counts, areas.tolist(), boxes.tolist(), strict=True)
    ]


def _counts(
    mask: Integers, start: Integers, end: Integers, count: int, pixels: int
) -> list[Integers]:
    """Lengths of background and foreground in turn, of column-major positions in each mask."""
    # A run that ends with its column and one that begins the next are one run.
    apart = (end[:-1] != start[1:]) | (mask[:-1] != mask[1:])
    begins, ends = np.append(True, apart), np.append(apart, True)
    begins, ends = begins[: len(start)], ends[: len(end)]
    edges = np.column_stack([start[begins], end[ends]]).ravel()
    lengths = np.diff(edges, prepend=0)
    bounds = 2 * np.searchsorted(mask[begins], np.arange(count + 1))
    counts = []
    for one, following in pairwise(bounds.tolist()):
        some = lengths[one:following]
        rest = pixels
        if len(some):
            some[0] = edges[one]
            rest -= int(edges[following - 1])
        counts.append(np.append(some, rest) if rest else some)
    return counts
