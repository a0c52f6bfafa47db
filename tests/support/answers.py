"""Results for tests of what is made of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from solo.decoding.radiograph import RadiographInfo
from solo.masks.rle import MaskRuns
from solo.result import Instance, ModelIdentity, Result, Timings

Mask = npt.NDArray[np.bool_]

MODEL = ModelIdentity(name="tiny", version="1", sha256="f" * 64, provider="FakeExecutionProvider")


def mask_runs(mask: Mask) -> MaskRuns:
    """A mask's runs, counted pixel by pixel."""
    counts, current = [0], False
    for pixel in mask.ravel(order="F").tolist():
        if pixel != current:
            counts.append(0)
            current = not current
        counts[-1] += 1
    rows, columns = np.nonzero(mask)
    box = (0, 0, 0, 0)
    if len(rows):
        x, y = int(columns.min()), int(rows.min())
        box = (x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y)
    height, width = mask.shape
    return MaskRuns((height, width), np.array(counts, np.int64), int(mask.sum()), box)


def instance(mask: Mask, label: str = "lung", score: float = 0.9) -> Instance:
    """An instance with this mask."""
    return Instance(label, 1, score, mask_runs(mask), 2.5)


def result(*masks: Mask, pixels: npt.NDArray[np.uint8] | None = None) -> Result:
    """A result with an instance for each mask, best first."""
    height, width = masks[0].shape
    info = RadiographInfo(
        height, width, frame=0, frames=1, grey="window", pixel_spacing=None, kind="png",
        encoding="png",
    )  # fmt: skip
    return Result(
        model=MODEL,
        sha256="a" * 64,
        radiograph=info,
        instances=tuple(instance(mask, score=1 - n / 1000) for n, mask in enumerate(masks)),
        timings=Timings(0, 0, 0, 0),
        pixels=pixels,
    )


def disc(size: tuple[int, int], center: tuple[float, float], radius: float) -> Mask:
    """True within a circle; all in pixels, rows first."""
    y, x = np.ogrid[: size[0], : size[1]]
    inside: Mask = (y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2
    return inside
