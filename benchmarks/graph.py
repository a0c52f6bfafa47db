"""Times exported graphs by part and by operation, on one core, side by side.

    python -m benchmarks.graph MODEL.onnx [OTHER.onnx ...] [--rounds 30]

All files answer the same noise in turn, round by round. Prints tables of medians in milliseconds:

- the whole graph; its bare network, which is the file cut behind the network; how many times the
  bare network the graph takes; and how many times the first file;
- by part: network, candidates (categories up to the choice of cells), masks (from kernels to the
  answer's bytes), NMS (overlaps, scores, suppression), and what is answered besides these, such as
  an out-of-distribution score;
- by operation within each part.

The first table is processor time, and its ratios are medians of a round's ratios. The others come
from ONNX Runtime's profiler after its optimisations. Parts are told by what leads where and not by
names, so that files of any exporter's can be compared.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from benchmarks.graph_parts import PARTS, bare_network, parts_of
from solo.contract.manifest import INPUT_NAME

_WARM_UP: Final = 3  # rounds
_LEAST: Final = 0.005  # of the slowest graph's time, to be told apart

Times = dict[tuple[str, str], float]  # milliseconds by part and operation


@dataclass
class TimedGraph:
    """One file in three sessions: as it is, its bare network, and watched by the profiler.

    Args:
        path: an ONNX file written by `python -m export` or one of its variants.
        folder: to write to, of this file's own.
    """

    path: Path
    folder: Path
    whole: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        model = onnx.load(self.path)
        sides = [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim[1:]]
        self._image = np.random.default_rng(0).random((1, *sides), dtype=np.float32)
        self._whole = _open(model)
        self._bare = _open(bare_network(model))
        for place, node in enumerate(model.graph.node):
            node.name = f"node {place}"  # the profiler makes up names for those without
        self._watched = _open(model, self.folder)
        optimised = onnx.load(self.folder / "optimised.onnx").graph
        parts = parts_of(optimised)
        self._part = {node.name: part for node, part in zip(optimised.node, parts, strict=True)}

    def round(self) -> None:
        """Runs each session once."""
        self.whole.append(_milliseconds(self._whole, self._image))
        self.bare.append(_milliseconds(self._bare, self._image))
        _milliseconds(self._watched, self._image)

    def by_operation(self) -> Times:
        """Medians of each operation's time, added up; ends the profiler's session."""
        runs: dict[tuple[str, str], list[float]] = {}
        for event in json.loads(Path(self._watched.end_profiling()).read_text(encoding="utf-8")):
            name = event["name"].removesuffix("_kernel_time")
            if event.get("cat") == "Node" and name != event["name"]:
                runs.setdefault((name, event["args"]["op_name"]), []).append(event["dur"] / 1e3)
        times: Times = {}
        for (name, operation), taken in runs.items():
            key = self._part[name], operation
            times[key] = times.get(key, 0.0) + median(taken[_WARM_UP:])
        return times


def _open(model: onnx.ModelProto, profile_in: Path | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if profile_in is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_in / "profile")
        options.optimized_model_filepath = str(profile_in / "optimised.onnx")
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _milliseconds(session: ort.InferenceSession, image: npt.NDArray[np.float32]) -> float:
    started = process_time()
    session.run(None, {INPUT_NAME: image})
    return 1e3 * (process_time() - started)


def print_tables(graphs: list[TimedGraph]) -> None:
    """Prints what the rounds took."""
    first = graphs[0]
    header = ["", *(f"{graph.path.parent.name}/{graph.path.name}" for graph in graphs)]
    rows = {
        "whole graph, ms": [median(graph.whole[_WARM_UP:]) for graph in graphs],
        "bare network, ms": [median(graph.bare[_WARM_UP:]) for graph in graphs],
        "times its bare network": [_ratio(graph.whole, graph.bare) for graph in graphs],
        "times the first file": [_ratio(graph.whole, first.whole) for graph in graphs],
    }
    _print_table(header, rows)
    times = [graph.by_operation() for graph in graphs]
    by_part = {part: [_added(one, part) for one in times] for part in PARTS}
    _print_table(["part, ms", *header[1:]], {p: row for p, row in by_part.items() if any(row)})
    least = _LEAST * max(sum(one.values()) for one in times)
    by_operation: dict[str, list[float]] = {}
    for part in PARTS:
        named = {operation for one in times for of, operation in one if of == part}
        found = {name: [one.get((part, name), 0.0) for one in times] for name in named}
        ordered = sorted(found.items(), key=lambda entry: -max(entry[1]))
        by_operation |= {f"{part}: {n}": row for n, row in ordered if max(row) >= least}
    _print_table(["operation, ms", *header[1:]], by_operation)


def _ratio(times: list[float], others: list[float]) -> float:
    return median(a / b for a, b in zip(times[_WARM_UP:], others[_WARM_UP:], strict=True))


def _added(times: Times, part: str) -> float:
    return sum(taken for (of, _), taken in times.items() if of == part)


def _print_table(header: Iterable[str], rows: dict[str, list[float]]) -> None:
    names = list(header)
    print("\n| " + " | ".join(names) + " |")
    print("|---" * len(names) + "|")
    for name, figures in rows.items():
        print(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.graph",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL.onnx")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args(argv)
    with TemporaryDirectory() as name:
        folders = [Path(name, str(place)) for place in range(len(arguments.models))]
        for folder in folders:
            folder.mkdir()
        graphs = [TimedGraph(*pair) for pair in zip(arguments.models, folders, strict=True)]
        for _ in range(_WARM_UP + arguments.rounds):
            for graph in graphs:
                graph.round()
        print_tables(graphs)


if __name__ == "__main__":
    main()
