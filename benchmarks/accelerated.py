"""The service on a GPU, next to the bare speed of the graph, by precision and batch size.

    python -m benchmarks.accelerated [--model FILE] [--provider cuda] [--cuda-graphs]

For the model and each variant beside it that is meant for what computes: the graph alone at every
batch size, by a plain run of the session and by one in bound memory, turn and turn about, with the
copies in and out of the device; then the service under one client and under many, with a PNG of the
size of the model's canvas. Times are medians. It runs on a CPU as well (`--provider cpu`), to see
that it works.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.http_client import Target
from benchmarks.service_process import MODEL, serving
from benchmarks.throughput import ask, film_of
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES
from solo.inference.engine import ModelError
from solo.inference.io_binding import BoundSession
from solo.inference.model_file import ModelFile
from solo.inference.onnx_engine import closed_batch_sizes
from solo.inference.providers import CPU, GpuOptions, cuda_options, session_providers
from solo.inference.session import open_session
from solo.inference.tensorrt import tensorrt_options

_WARM_UP = 3

Images = npt.NDArray[np.float32]
Run = Callable[[Images], object]


@dataclass(frozen=True)
class Speed:
    """Seconds of a run of the graph; NaN for a plain one that was not timed."""

    batch: int
    plain: float
    bound: float

    @property
    def throughput(self) -> float:
        """Images a second of the bound run."""
        return self.batch / self.bound


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accelerated",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--provider", choices=("cpu", "cuda", "tensorrt"), default="cuda")
    parser.add_argument("--cuda-graphs", action="store_true")
    parser.add_argument("--max-batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=100, help="of each batch size")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    arguments = parser.parse_args()
    suffixes = (".onnx", ".int8.onnx" if arguments.provider == "cpu" else ".fp16.onnx")
    # TensorRT takes minutes for an engine: the service finds the one that was timed.
    with tempfile.TemporaryDirectory() as engines:
        tensorrt = arguments.provider == "tensorrt"
        gpu = GpuOptions(arguments.cuda_graphs, Path(engines) if tensorrt else None)
        try:
            for path in (arguments.model.with_suffix(suffix) for suffix in suffixes):
                if path.exists():
                    best, film = _report_graph(path, arguments, gpu)
                    _report_service(path, film, best, arguments, gpu)
        except ModelError as error:
            parser.exit(1, f"{error}\n")


def time_graph(
    runs: BoundSession, plain: Run | None, file: ModelFile, size: int, repeats: int
) -> Speed:
    """The graph at one batch size, without a service around it.

    Args:
        runs: of an open session.
        plain: the same without bound memory, or None.
        file: the model.
        size: images of a batch.
        repeats: how often each is timed.
    """
    images = np.random.default_rng(0).random((size, 1, *file.manifest.canvas_size), np.float32)
    ways = [runs.run] if plain is None else [runs.run, plain]
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats + _WARM_UP):
        for way, seconds in zip(ways, times, strict=True):
            started = perf_counter()
            way(images)
            seconds.append(perf_counter() - started)
    bound, *others = (median(seconds[_WARM_UP:]) for seconds in times)
    return Speed(size, others[0] if others else float("nan"), bound)


def _report_graph(
    path: Path, arguments: argparse.Namespace, gpu: GpuOptions
) -> tuple[float, bytes]:
    """Prints the graph's times; returns its most images a second, and a film to ask about."""
    file, sizes = ModelFile.read(path), closed_batch_sizes(arguments.max_batch)
    tensorrt = tensorrt_options(file, sizes, gpu.engine_cache)
    candidates = session_providers(arguments.provider, cuda_options(gpu), tensorrt)
    session = open_session(file.read_again(), path, arguments.provider, candidates, cores=2)
    provider = session.get_providers()[0]
    device = "cpu" if provider == CPU else "cuda"
    runs = BoundSession(session, file.manifest, device, cuda_graphs=gpu.cuda_graphs)

    def plain(images: Images) -> object:
        return session.run(list(OUTPUT_NAMES), {INPUT_NAME: images})

    print(f"{path.name}: {file.manifest.precision} on {provider}")
    print("  batch    plain run    bound run")
    best = 0.0
    for size in sizes:
        # What was recorded is replayed in bound memory only.
        speed = time_graph(runs, None if gpu.cuda_graphs else plain, file, size, arguments.repeats)
        best = max(best, speed.throughput)
        print(
            f"  {size:5}{1e3 * speed.plain:10.2f} ms{1e3 * speed.bound:10.2f} ms"
            f"{speed.throughput:10.1f} images/s"
        )
    return best, film_of(session)[1]


def _report_service(
    path: Path, film: bytes, best: float, arguments: argparse.Namespace, gpu: GpuOptions
) -> None:
    settings: dict[str, Any] = {
        "provider": arguments.provider,
        "max_batch": arguments.max_batch,
    }
    if gpu.cuda_graphs:
        settings["cuda_graphs"] = True
    if gpu.engine_cache is not None:
        settings["engine_cache"] = gpu.engine_cache
    with serving(path, **settings) as service:
        url = f"http://127.0.0.1:{service.port}/segment"
        once = urllib.request.Request(url, film, {"Content-Type": "image/png"})
        with urllib.request.urlopen(once) as answer:
            print(f"  the service on {json.load(answer)['model']['provider']}")
        target = Target.post(url, film, "image/png")
        for clients in (1, arguments.clients):
            window = ask(target, clients, arguments.seconds)
            p50, p99 = (1e3 * window.percentile(percent) for percent in (50, 99))
            print(
                f"  {clients:5} client(s){window.throughput:10.1f} images/s, p50 {p50:.2f} ms, "
                f"p99 {p99:.2f} ms, {100 * window.throughput / best:.0f} % of the bound graph"
            )


if __name__ == "__main__":
    main()
