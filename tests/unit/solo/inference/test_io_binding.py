"""Runs by I/O binding, with a CPU in the device's place: the same bits, and nobody else's."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest

from solo.contract.manifest import INPUT_NAME
from solo.inference.io_binding import BoundSession
from solo.inference.model_file import ModelFile

MODEL = Path(__file__).parents[4] / "model/zoo/cxr-lungs.onnx"


class Recorded:
    """A session that notes by which thread and with which memory it is run."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.threads: list[str] = []
        self.graphs: list[str] = []

    def io_binding(self) -> Any:
        return self.session.io_binding()

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        self.threads.append(threading.current_thread().name)
        self.graphs.append(options.get_run_config_entry("gpu_graph_id"))
        self.session.run_with_iobinding(binding, options)


@pytest.fixture(scope="module")
def session() -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


def films(count: int, seed: int) -> npt.NDArray[np.float32]:
    size = ModelFile.read(MODEL).manifest.canvas_size
    return np.random.default_rng(seed).random((count, 1, *size), np.float32)


def test_answers_are_those_of_a_plain_run_to_the_bit(session: Any) -> None:
    bound = BoundSession(session, ModelFile.read(MODEL).manifest, "cpu")
    for count, seed in ((1, 0), (4, 1), (2, 2), (4, 3)):
        images = films(count, seed)
        expected = session.run(None, {INPUT_NAME: images})
        found = bound.run(images)
        assert [one.dtype for one in found] == [one.dtype for one in expected]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_later_run_does_not_write_into_an_earlier_answer(session: Any) -> None:
    bound = BoundSession(session, ModelFile.read(MODEL).manifest, "cpu")
    first = bound.run(films(1, 0))
    kept = [one.copy() for one in first]
    second = bound.run(1 - films(1, 0))
    assert (second[2] != kept[2]).any()
    for one, other in zip(first, kept, strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_batch_size_has_a_graph_and_all_runs_one_thread(session: Any) -> None:
    recorded = Recorded(session)
    bound = BoundSession(recorded, ModelFile.read(MODEL).manifest, "cpu", cuda_graphs=True)
    answers: dict[int, list[npt.NDArray[Any]]] = {}

    def ask(count: int) -> None:
        answers[count] = bound.run(films(count, count))

    callers = [threading.Thread(target=ask, args=(count,)) for count in (1, 2)]
    for caller in callers:
        caller.start()
        caller.join()
    assert recorded.graphs == ["1", "2"]
    assert len(set(recorded.threads)) == 1
    assert recorded.threads[0].startswith("cuda-graphs")
    for count, answer in answers.items():
        expected = session.run(None, {INPUT_NAME: films(count, count)})
        np.testing.assert_array_equal(answer[2], expected[2])


def test_memory_is_taken_once_for_each_batch_size(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = BoundSession(session, ModelFile.read(MODEL).manifest, "cpu")
    taken = []
    take = bound._memory

    def noted(shape: tuple[int, ...], dtype: type) -> Any:
        taken.append(shape[0])
        return take(shape, dtype)

    monkeypatch.setattr(bound, "_memory", noted)
    for count in (1, 2, 1, 2, 2):
        bound.run(films(count, count))
    places = 1 + len(session.get_outputs())
    assert taken == [1] * places + [2] * places
