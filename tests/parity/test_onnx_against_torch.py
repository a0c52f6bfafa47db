"""The exported file in ONNX Runtime against the network in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch

from export.parity import MASK_TOLERANCE, ParityError, compare
from export.wrapper import OnnxNetwork
from solo.contract.instances import Instances
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES
from tests import tolerances
from tests.support.exported import exported, film_canvases
from tests.support.tiny import lively, tiny_config

Outputs = list[npt.NDArray[Any]]
SLOTS, CELLS, CLASSES = 200, 8 * 8 + 4 * 4, 2

# Rounding moves a pixel over the mask threshold now and then, and the mean over the mask with it.
SCORES = 10 * tolerances.SCORES


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        exported().model, options, providers=["CPUExecutionProvider"]
    )


@pytest.fixture(scope="module")
def canvases() -> npt.NDArray[np.float32]:
    return film_canvases(7)  # the last one was not compared at export


def answer(session: onnxruntime.InferenceSession, images: npt.NDArray[np.float32]) -> Outputs:
    found: Outputs = session.run(list(OUTPUT_NAMES), {INPUT_NAME: images})
    return found


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_graph_answers_as_the_network_does(
    size: int, session: onnxruntime.InferenceSession, canvases: npt.NDArray[np.float32]
) -> None:
    batch = canvases[-size:]
    with torch.inference_mode():
        expected = OnnxNetwork(exported().network)(torch.from_numpy(batch))
    scores, labels, masks = answer(session, batch)
    np.testing.assert_allclose(scores, expected[0].numpy(), atol=SCORES, rtol=0)
    np.testing.assert_array_equal(labels, expected[1].numpy())
    there = labels >= 0
    assert there.sum() > 5 * size
    difference = abs(masks[there].astype(int) - expected[2].numpy()[there])
    assert difference.max() <= MASK_TOLERANCE


def test_an_answer_is_the_same_whatever_shares_its_batch(
    session: onnxruntime.InferenceSession, canvases: npt.NDArray[np.float32]
) -> None:
    alone = [answer(session, canvas[None]) for canvas in canvases]
    for order in (range(7), reversed(range(7)), [3, 3, 0]):
        chosen = list(order)
        together = answer(session, canvases[chosen])
        for place, film in enumerate(chosen):
            np.testing.assert_allclose(together[0][place], alone[film][0][0], atol=SCORES, rtol=0)
            np.testing.assert_array_equal(together[1][place], alone[film][1][0])
            difference = abs(together[2][place].astype(int) - alone[film][2][0])
            assert difference[alone[film][1][0] >= 0].max() <= MASK_TOLERANCE
    # The comparison means something: no two films have the same answer.
    assert all(abs(alone[0][0] - other[0]).max() > 1e-2 for other in alone[1:])


@pytest.mark.parametrize("size", [1, 3])
def test_outputs_have_the_shapes_of_the_design(
    size: int, session: onnxruntime.InferenceSession, canvases: npt.NDArray[np.float32]
) -> None:
    assert [node.name for node in session.get_inputs()] == [INPUT_NAME]
    assert [node.name for node in session.get_outputs()] == list(OUTPUT_NAMES)
    assert session.get_inputs()[0].shape[1:] == [1, 64, 64]
    assert not isinstance(session.get_inputs()[0].shape[0], int)  # any batch size
    scores, labels, masks = answer(session, canvases[:size])
    assert [scores.dtype, labels.dtype, masks.dtype] == [np.float32, np.int64, np.uint8]
    assert scores.shape == labels.shape == (size, SLOTS)
    assert masks.shape == (size, SLOTS, 16, 16)


def test_slots_are_filled_from_the_best_and_then_empty(
    session: onnxruntime.InferenceSession, canvases: npt.NDArray[np.float32]
) -> None:
    assert CELLS * CLASSES < SLOTS  # there are slots that no candidate can fill
    scores, labels, masks = answer(session, canvases)
    assert (np.diff(scores) <= 0).all()
    np.testing.assert_array_equal(scores > 0, labels >= 0)
    assert (labels[:, CELLS * CLASSES :] == -1).all()
    assert not masks[:, CELLS * CLASSES :].any()
    assert set(np.unique(labels)) == {-1, 0, 1}
    for row in zip(scores, labels, masks, strict=True):
        instances = Instances.from_outputs(*row)
        assert 0 < len(instances) == (row[0] > 0).sum()
        assert (instances.masks > 127).any(axis=(1, 2)).all()  # none is without a pixel


def test_a_black_film_is_answered(session: onnxruntime.InferenceSession) -> None:
    scores, labels, _ = answer(session, np.zeros((2, 1, 64, 64), np.float32))
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(labels[0], labels[1])
    assert np.isfinite(scores).all()


def test_a_graph_of_other_weights_is_refused() -> None:
    other = OnnxNetwork(lively(tiny_config(), seed=1))
    with pytest.raises(ParityError, match="film 0, batch of 1: a score differs by"):
        compare(other, exported().model, film_canvases())


def test_a_slight_difference_of_one_weight_is_refused() -> None:
    network = lively(tiny_config())
    with torch.no_grad():
        network.head.category.weight.mul_(1.01)
    with pytest.raises(ParityError, match="a score differs by"):
        compare(OnnxNetwork(network), exported().model, film_canvases())


def test_a_pixel_that_rounding_moves_over_the_threshold_is_no_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The network answers as the graph does only with its threshold a little lower."""
    module = OnnxNetwork(exported().network)
    forward, threshold = module.forward, module.network.config.mask_threshold

    def rounded(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        scores, labels, masks = forward(images)
        moved = threshold - module.network.config.mask_threshold
        return torch.where(scores > 0, scores + 0.02 * (moved < 1e-6), scores), labels, masks

    monkeypatch.setattr(module, "forward", rounded)
    parity = compare(module, exported().model, film_canvases())
    assert parity.score < 1e-3
    assert module.network.config.mask_threshold == threshold
    monkeypatch.setattr("export.parity._THRESHOLD_ROUNDING", 0.0)
    with pytest.raises(ParityError, match="a score differs by"):
        compare(module, exported().model, film_canvases())


def test_other_masks_with_the_same_scores_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = OnnxNetwork(exported().network)
    forward = module.forward

    def shifted(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        scores, labels, masks = forward(images)
        return scores, labels, masks.roll(1, -1)

    monkeypatch.setattr(module, "forward", shifted)
    with pytest.raises(ParityError, match="a mask differs by"):
        compare(module, exported().model, film_canvases())


def test_swapped_labels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = OnnxNetwork(exported().network)
    forward = module.forward

    def swapped(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        scores, labels, masks = forward(images)
        return scores, torch.where(labels >= 0, 1 - labels, labels), masks

    monkeypatch.setattr(module, "forward", swapped)
    with pytest.raises(ParityError, match="a label differs"):
        compare(module, exported().model, film_canvases())


def test_another_shape_is_refused() -> None:
    other = OnnxNetwork(lively(tiny_config(max_instances=150)))
    with pytest.raises(ParityError, match=r"'scores' is float32 \(200,\), PyTorch's is .*150"):
        compare(other, exported().model, film_canvases())


def test_too_few_films_prove_nothing() -> None:
    module = OnnxNetwork(exported().network)
    with pytest.raises(ValueError, match="parity needs 5 films or more, got 4"):
        compare(module, exported().model, film_canvases(4))


def test_films_in_which_nothing_is_found_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(
        images: torch.Tensor | npt.NDArray[np.float32],
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        n = len(images)
        labels = torch.full((n, SLOTS), -1)
        return torch.zeros(n, SLOTS), labels, torch.zeros(n, SLOTS, 16, 16, dtype=torch.uint8)

    class Session:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def run(self, _: object, feed: dict[str, npt.NDArray[np.float32]]) -> Outputs:
            return [output.numpy() for output in nothing(feed[INPUT_NAME])]

    module = OnnxNetwork(exported().network)
    monkeypatch.setattr(module, "forward", nothing)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with pytest.raises(ValueError, match="finds nothing in any of these films"):
        compare(module, b"", film_canvases())
