"""This service on the simulated accelerator.

    python -m benchmarks.contenders.solo_server PORT [--bytes-only]

Everything is the service's own but its engine, which is given to it as any engine is. With
`--bytes-only` a body is received, joined and hashed but not decoded, and goes to the accelerator as
an empty canvas: what the other contenders do with it, and a hash.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from time import perf_counter

import numpy as np
import numpy.typing as npt

from app.decoding.radiograph import Limits, Radiograph
from app.journal import configure_logging
from app.main import application
from app.routes import PATHS
from app.segmenting import Order, Prepared, Segmenter
from app.server import run_server
from app.service import Service
from app.settings import Settings
from app.upload import UploadedFile
from benchmarks.contenders.accelerator import MAX_BATCH, run, run_seconds
from model.contract.instances import Instances
from model.contract.manifest import Manifest
from model.contract.preprocess import Letterbox

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
        self._answer = _discs(objects)

    def warm_up(self) -> dict[int, float]:
        """See `Engine`."""
        return {size: run_seconds(size) for size in self.batch_sizes}

    def reopen(self) -> None:
        """See `Engine`."""

    def run(self, images: npt.NDArray[np.float32]) -> list[Instances]:
        """See `Engine`."""
        run(len(images))
        return [self._answer] * len(images)


class BytesOnly(Segmenter):
    """Takes a file for an empty film, without looking into it."""

    _FILM = np.zeros(_CANVAS, np.uint8)

    def _prepare(self, file: UploadedFile, order: Order) -> Prepared:
        del order
        started = perf_counter()
        file.sha256  # noqa: B018 (computed here, as it is for a real film)
        radiograph = Radiograph(self._FILM, None, "as_stored", 0, "png", "png")
        letterbox = Letterbox.fit(_CANVAS, _CANVAS)
        canvas = np.zeros(_CANVAS, np.float32)
        return Prepared(radiograph, letterbox, canvas, perf_counter() - started)


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
    service = Service.build(settings, engine, PATHS, lambda: engine)
    if arguments.bytes_only:
        limits = Limits(settings.max_pixels)
        service = replace(
            service,
            segmenter=BytesOnly(service.batcher, service.pool, limits, service.metrics),
        )
    return run_server(application(service), service, settings) is not None


if __name__ == "__main__":
    sys.exit(main())
