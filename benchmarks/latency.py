"""What an answer costs, beside what it must cost.

    python -m benchmarks.latency [--model FILE] [--repeats N]

Starts the service, sends it one uncompressed 12-bit DICOM of 2500 x 3000 pixels again and again,
and between two requests times the bare parts of an answer in this process, and the whole of it by
the libraries alone (`benchmarks.plain_way`). Then compares three ways to encode 20 masks. Run it on
a quiet machine: the figures are medians, the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np

from benchmarks.bare_parts import bare_parts, medians, open_session
from benchmarks.made_film import large_film
from benchmarks.multiply_adds import count_multiply_adds, peak_multiply_adds_per_second
from benchmarks.plain_way import plain_answer, time_masks
from benchmarks.service_process import MODEL, serving
from solo.contract.manifest import Manifest
from solo.inference.cores import usable_cores

STAGES = ("decode", "queue", "inference", "postprocess")
_WARM_UP = 5


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--repeats", type=int, default=40)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    film = large_film(2500, 3000)
    with serving(arguments.model) as service:
        rounds = measure(film, service.port, arguments.model, arguments.repeats)
    report(rounds)
    report_masks()
    report_network(arguments.model)


@dataclass(frozen=True)
class Round:
    """Seconds of one answer of the service by stage, of its bare parts, and of the plain way."""

    answer: dict[str, float]
    bare: dict[str, float]
    plain: float


def measure(film: bytes, port: int, model: Path, repeats: int) -> list[Round]:
    """Turn and turn about: the service, the bare parts, the plain way."""
    session = open_session(model, usable_cores())
    manifest = Manifest.from_metadata(session.get_modelmeta().custom_metadata_map)
    parts = bare_parts(film, session)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    rounds = []
    for _ in range(repeats + _WARM_UP):
        answer, bare = _ask(connection, film), parts.sample()
        started = perf_counter()
        plain_answer(film, session, manifest)
        rounds.append(Round(answer, bare, perf_counter() - started))
    connection.close()
    return rounds[_WARM_UP:]


def report(rounds: list[Round]) -> None:
    """Prints the two tables and the two ratios."""
    stages = medians([one.answer for one in rounds])
    parts = medians([one.bare for one in rounds])
    print(f"one answer, 2500 x 3000 DICOM, {usable_cores()} cores, median of {len(rounds)}")
    for name, seconds in stages.items():
        print(f"  {name:<14}{1e3 * seconds:8.2f} ms")
    outside = 1 - stages["inference"] / stages["total"]
    print(f"  share of the total that is not the network: {100 * outside:.0f} %")
    print("its bare parts, timed between the answers")
    for name, seconds in parts.items():
        print(f"  {name:<14}{1e3 * seconds:8.2f} ms")
    print(f"  {'sum':<14}{1e3 * sum(parts.values()):8.2f} ms")
    print(f"the plain way{1e3 * median(one.plain for one in rounds):11.2f} ms")
    over_bare = median(one.answer["total"] / sum(one.bare.values()) for one in rounds)
    over_plain = median(one.answer["total"] / one.plain for one in rounds)
    print(f"total / sum of bare parts: {over_bare:.2f}")
    print(f"total / the plain way: {over_plain:.2f}")


def report_masks() -> None:
    """Prints what encoding 20 masks takes, by three ways."""
    times = time_masks()
    print("20 masks of the size of lungs at 3000 x 2500, processor time")
    for name, seconds in (("solo/masks/rle.py", times.ours), ("plain", times.plain),
                          ("best plain", times.best)):  # fmt: skip
        print(f"  {name:<14}{1e3 * seconds:8.2f} ms  {seconds / times.ours:5.1f} times")


def report_network(model: Path) -> None:
    """Prints what the network computes and how near that is to the machine's peak."""
    work = count_multiply_adds(model)
    print(f"the graph: {work / 1e9:.2f} G multiply-adds an image")
    for threads in sorted({1, usable_cores()}):
        session = open_session(model, threads)
        shape = [side if isinstance(side, int) else 1 for side in session.get_inputs()[0].shape]
        feeds = {session.get_inputs()[0].name: np.full(shape, 0.5, np.float32)}
        times = []
        for _ in range(40):
            started = perf_counter()
            session.run(None, feeds)
            times.append(perf_counter() - started)
        seconds = median(times[5:])
        peak = peak_multiply_adds_per_second(threads)
        print(
            f"  bare loop, {threads} thread(s): {1e3 * seconds:.2f} ms, "
            f"{work / seconds / 1e9:.0f} of {peak / 1e9:.0f} G multiply-adds/s "
            f"({100 * work / seconds / peak:.0f} % of a matrix product's)"
        )


def _ask(connection: http.client.HTTPConnection, film: bytes) -> dict[str, float]:
    started = perf_counter()
    connection.request("POST", "/segment", film, {"Content-Type": "application/dicom"})
    response = connection.getresponse()
    body = response.read()
    total = perf_counter() - started
    if response.status != 200:
        raise RuntimeError(f"the service answered {response.status}: {body[:200]!r}")
    timings = json.loads(body)["images"][0]["timings"]
    return {**{stage: timings[f"{stage}_seconds"] for stage in STAGES}, "total": total}


if __name__ == "__main__":
    main()
