"""What is written as other operators in a graph, in ONNX Runtime against NumPy."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from model.network.mask_overlap import mask_overlaps
from model.network.onnx_operators import above, as_bytes

Array = npt.NDArray[Any]


class Overlaps(nn.Module):
    """Areas and overlaps of masks [N, K, h, w]."""

    def forward(self, masks: Tensor) -> tuple[Tensor, Tensor]:
        return mask_overlaps(masks, torch.zeros(masks.shape[:2], dtype=torch.int64))


class Values(nn.Module):
    """Probabilities [N, K] as bytes, and those above 0.4."""

    def forward(self, probabilities: Tensor) -> tuple[Tensor, Tensor]:
        return as_bytes(probabilities), above(probabilities, 0.4)


def run(
    module: nn.Module, example: Tensor, given: Array, folder: Path
) -> tuple[list[Array], set[str]]:
    """The exported module's answer, and what operations ONNX Runtime made of it."""
    batch = ({0: torch.export.Dim("batch", min=1)},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own deprecations
        program = torch.onnx.export(
            module.eval(), (example,), dynamo=True, opset_version=20, dynamic_shapes=batch,
            verbose=False,
        )  # fmt: skip
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    answer = session.run(None, {session.get_inputs()[0].name: given})
    nodes = onnx.load(folder / "optimised.onnx").graph.node
    return answer, {node.op_type for node in nodes}


@pytest.mark.parametrize(("count", "size"), [(5, (256, 256)), (201, (16, 24))])
def test_masks_are_counted_exactly_as_integers(
    count: int, size: tuple[int, int], tmp_path: Path
) -> None:
    rng = np.random.default_rng(count)
    masks = rng.random((3, count, *size)) < rng.random((3, count, 1, 1))
    masks[:, 0], masks[:, 1], masks[0, -1] = True, False, True
    example = torch.zeros(2, count, *size, dtype=torch.bool)
    (areas, overlaps), operations = run(Overlaps(), example, masks, tmp_path)
    flat = masks.reshape(3, count, -1).astype(np.int64)
    np.testing.assert_array_equal(areas, flat.sum(2))
    np.testing.assert_array_equal(overlaps, flat @ flat.transpose(0, 2, 1))
    assert "MatMulIntegerToFloat" in operations
    assert not operations & {"MatMul", "FusedMatMul"}


def test_bytes_are_above_the_half_where_probabilities_are(tmp_path: Path) -> None:
    half = np.float32(0.5)
    edges = [half, np.nextafter(half, np.float32(1)), np.nextafter(half, np.float32(0)), 0, 1]
    steps, noise = np.arange(256) / 255, np.random.default_rng(0).random(2000)
    given = np.concatenate([edges, steps, noise]).astype(np.float32)[None]
    (found, kept), _ = run(Values(), torch.rand(2, given.shape[1]), given, tmp_path)
    assert found.dtype == np.uint8
    assert found[0, :5].tolist() == [127, 128, 127, 0, 255]
    np.testing.assert_array_equal(found[0, 5:261], np.arange(256))
    np.testing.assert_array_equal(found > 127, given > 0.5)
    assert np.abs(found - given * 255).max() < 0.5001
    np.testing.assert_array_equal(kept, np.where(given > np.float32(0.4), given, 0))
    eager = Values()(torch.tensor(given))
    np.testing.assert_array_equal(eager[0], found)
    np.testing.assert_array_equal(eager[1], kept)
