"""This service on the simulated accelerator.

    python -m benchmarks.contenders.solo_server PORT [--bytes-only]

Everything is the service's own but its engine, which is given to it as any engine is. With
`--bytes-only` a body is received, joined and hashed but not decoded, and goes to the accelerator as
an empty canvas: what the other contenders do with it, and a hash.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.logging import configure_logging
from app.main import create_app
from app.server import run_server
from app.settings import Settings
from benchmarks.contenders.accelerator import MAX_BATCH, run, run_seconds
from solo.contract.instances import Instances
from solo.contract.manifest import Manifest
from solo.decoding.radiograph import RadiographInfo
from solo.decoding.stored_pixels import PixelsWanted
from solo.inference.engine import Prediction
from solo.sandbox.decoder import DecodedRadiograph

_CANVAS = (256, 256)
_STRIDE = 4


class SimulatedEngine:
    """An `Engine` that computes nothing and takes its time for it; it finds two discs.

    Args:
        objects: how many instances each image has.
    """

    def __init__(self, objects: int) -> None:
        self.manifest = Manifest(
            name="simulated", version="0", variant="none", backbone="none", class_names=("disc",),
            category_ids=(1,), canvas_size=_CANVAS, mask_stride=_STRIDE, max_instances=100,
            score_threshold=0.5, mask_threshold=0.5, training_data="none", licence="none",
            attribution="none", metrics={}, metrics_on="nothing", weights_sha256="0" * 64,
            source_revision="none", opset=18,
        )  # fmt: skip
        self.sha256 = "0" * 64
        self.provider = "SimulatedExecutionProvider"
        self.batch_sizes = tuple(range(1, MAX_BATCH + 1))
        self.runs_at_once = 1
        self._answer = Prediction(_discs(objects))

    def warm_up(self) -> dict[int, float]:
        """See `Engine`."""
        return {size: run_seconds(size) for size in self.batch_sizes}

    def reopen(self) -> None:
        """See `Engine`."""

    def run(self, images: npt.NDArray[np.float32]) -> list[Prediction]:
        """See `Engine`."""
        run(len(images))
        return [self._answer] * len(images)


class BytesOnly:
    """A `RadiographDecoder` that takes a file for an empty film, without looking into it."""

    _FACTS = RadiographInfo(
        height=_CANVAS[0], width=_CANVAS[1], frame=0, frames=1, grey="as_stored",
        pixel_spacing=None, kind="png", encoding="png",
    )  # fmt: skip

    _EMPTY = np.zeros(_CANVAS, np.float32)
    width = 2

    async def start(self) -> None:
        """See `RadiographDecoder`."""

    async def stop(self) -> None:
        """See `RadiographDecoder`."""

    async def decode(
        self,
        data: bytes | Sequence[bytes],
        frame: int,
        wants_pixels: PixelsWanted = "none",
        *,
        wants_header: bool = False,
    ) -> DecodedRadiograph:
        """See `RadiographDecoder`."""
        del data, frame, wants_pixels, wants_header
        return DecodedRadiograph(self._FACTS, self._EMPTY, None, 0.0)


def _discs(count: int) -> Instances:
    side = _CANVAS[0] // _STRIDE
    row, column = np.indices((side, side))
    masks = [
        np.clip(255 * (side / 5 - np.hypot(row - side / 2, column - side * place)), 0, 255)
        for place in np.linspace(0.3, 0.7, count)
    ]
    shape = (count, side, side)
    return Instances(
        np.array(masks, np.uint8).reshape(shape),
        np.zeros(count, np.int64),
        np.linspace(0.9, 0.8, count, dtype=np.float32),
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--bytes-only", action="store_true")
    arguments = parser.parse_args()
    settings = Settings(port=arguments.port, max_batch=MAX_BATCH)
    configure_logging()
    engine = SimulatedEngine(0 if arguments.bytes_only else 2)
    decoder = BytesOnly() if arguments.bytes_only else None
    return run_server(create_app(settings, engine, decoder)) is not None


if __name__ == "__main__":
    sys.exit(main())
