"""The real model on this machine: the service against a bare loop over the session.

    python -m benchmarks.throughput [--model FILE] [--clients 8] [--rounds 7]

Both run the same graph with the same number of threads. The bare loop feeds one canvas again and
again, one image a run: a processor gains nothing by batches. It does gain by several callers at
once, as the service does; that loop, one caller for each core, is what no service can reach here.
The service gets the film of the example, a PNG that has the size of the model's canvas, and answers
with its masks. Turn and turn about, so that all meet the same machine; the ratios are medians of
the rounds.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np
import onnxruntime as ort
import uvloop

from benchmarks.bare_parts import open_session
from benchmarks.http_client import Target
from benchmarks.load import Load, Window, measure
from benchmarks.service_process import MODEL, ROOT, serving
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import INPUT_NAME, Manifest
from solo.inference.cores import usable_cores


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    arguments = parser.parse_args()
    cores = usable_cores()
    session = open_session(arguments.model, cores)
    canvas, body = film_of(session)
    rounds = []
    with serving(arguments.model) as service:
        target = Target.post(f"http://127.0.0.1:{service.port}/segment", body, "image/png")
        for _ in range(arguments.rounds):
            bare = bare_throughput(session, canvas, 1, arguments.seconds)
            shared = bare_throughput(session, canvas, cores, arguments.seconds)
            one = ask(target, 1, arguments.seconds)
            many = ask(target, arguments.clients, arguments.seconds)
            rounds.append((bare, shared, one.percentile(50) - 1 / bare, many.throughput))
    bare, shared, added, served = (median(column) for column in zip(*rounds, strict=True))
    of_bare = median(served / bare for bare, _, _, served in rounds)
    of_shared = median(served / shared for _, shared, _, served in rounds)
    print(f"{cores} threads, medians of {arguments.rounds} rounds")
    print(f"  bare loop              {bare:7.1f} images/s")
    print(f"  bare loop, {cores} at once   {shared:7.1f} images/s")
    print(f"  service, 1 client      {1e3 * added:+7.2f} ms")
    print(
        f"  service, {arguments.clients:2} clients    {served:7.1f} images/s, "
        f"{100 * of_bare:.0f} % of the bare loop, {100 * of_shared:.0f} % of {cores} at once"
    )


def film_of(session: ort.InferenceSession) -> tuple[np.ndarray, bytes]:
    """The example as the model sees it: a canvas, float32 [1, 1, H, W], and a PNG of it."""
    manifest = Manifest.from_metadata(session.get_modelmeta().custom_metadata_map)
    film = cv2.imread(str(ROOT / "examples/chest.png"), cv2.IMREAD_GRAYSCALE)
    if film is None:
        raise FileNotFoundError("examples/chest.png")
    canvas = Letterbox.fit((film.shape[0], film.shape[1]), manifest.canvas_size).apply(
        film.astype(np.uint8)
    )
    png = cv2.imencode(".png", np.rint(255 * canvas).astype(np.uint8))[1].tobytes()
    return canvas[None, None], png


def bare_throughput(
    session: ort.InferenceSession, canvas: np.ndarray, callers: int, seconds: float
) -> float:
    """Images a second of a loop over the session in each of so many threads."""
    until = perf_counter() + seconds

    def loop(_: int) -> float:
        started, runs = perf_counter(), 0
        while perf_counter() < until:
            session.run(None, {INPUT_NAME: canvas})
            runs += 1
        return runs / (perf_counter() - started)

    with ThreadPoolExecutor(callers) as threads:
        return sum(threads.map(loop, range(callers)))


def ask(target: Target, clients: int, seconds: float) -> Window:
    """So many clients for so long; all of them have to be answered with 200."""

    async def generate(load: Load) -> None:
        await load.closed(clients)

    window, _ = uvloop.run(measure(target, generate, seconds, most_windows=1))
    if set(window.statuses) != {200}:
        raise RuntimeError(f"the service answered {dict(window.statuses)}")
    return window


if __name__ == "__main__":
    main()
