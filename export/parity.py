"""Numerical parity of ONNX Runtime with PyTorch on real films, at several batch sizes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from export.wrapper import OnnxNetwork
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES

BATCH_SIZES = (1, 2, 5)
# Sums in another order change a logit by 1e-6; a pixel that this moves over the mask threshold then
# leaves the mean over the mask's pixels that is part of the score.
SCORE_TOLERANCE = 1e-3
# A small mask has so few pixels that one of them counts for more. Where the network, with its
# threshold moved by so little, answers as the graph does, the two are alike too.
_THRESHOLD_ROUNDING = 1e-5
MASK_TOLERANCE = 2  # of 255

# scores float32 [K], labels int64 [K], masks uint8 [K, h, w] of one film
Outputs = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]


class ParityError(RuntimeError):
    """The graph does not answer as the network does; the file must not be used."""


@dataclass(frozen=True)
class Parity:
    """The largest differences that were seen, and on how much."""

    films: int
    instances: int
    score: float
    mask: int


def expect(module: OnnxNetwork, canvases: npt.NDArray[np.float32]) -> list[Outputs]:
    """The network's answers that a graph is to give; before there is one, since that takes long.

    Args:
        module: the network, on the CPU.
        canvases: float32 [n, 1, H, W], n >= 5 real films, letterboxed.

    Raises:
        ValueError: if there are fewer films than the largest batch has room for, or no instance is
            found in any of them: that would compare nothing.
    """
    if len(canvases) < max(BATCH_SIZES):
        raise ValueError(f"parity needs {max(BATCH_SIZES)} films or more, got {len(canvases)}")
    expected = [_answer(module, canvas) for canvas in canvases]
    if not any((labels >= 0).any() for _, labels, _ in expected):
        raise ValueError("the network finds nothing in any of these films: nothing to compare")
    return expected


def compare(
    module: OnnxNetwork,
    model: bytes,
    canvases: npt.NDArray[np.float32],
    expected: list[Outputs] | None = None,
) -> Parity:
    """Runs every film through both, in batches of 1, 2 and 5.

    Args:
        module: the network that was exported, on the CPU.
        model: the ONNX file's bytes.
        canvases: as `expect` takes them.
        expected: what `expect` returned for them, where it was asked before.

    Raises:
        ParityError: naming the first film and output that differ.
        ValueError: as `expect` does.
    """
    expected = expect(module, canvases) if expected is None else expected
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    worst_score, worst_mask = 0.0, 0
    for size in BATCH_SIZES:
        for start in range(0, len(canvases) - size + 1, size):
            outputs = session.run(list(OUTPUT_NAMES), {INPUT_NAME: canvases[start : start + size]})
            for offset in range(size):
                film = start + offset
                scores, labels, masks = (output[offset] for output in outputs)
                where = f"film {film}, batch of {size}"
                try:
                    score, mask = _difference(expected[film], (scores, labels, masks), where)
                except ParityError:
                    found = _nearby(module, canvases[film], (scores, labels, masks))
                    if found is None:
                        raise
                    score, mask = found
                worst_score, worst_mask = max(worst_score, score), max(worst_mask, mask)
    instances = sum(int((labels >= 0).sum()) for _, labels, _ in expected)
    return Parity(len(canvases), instances, worst_score, worst_mask)


@torch.inference_mode()
def _answer(
    module: OnnxNetwork, canvas: npt.NDArray[np.float32], threshold_moved: float = 0.0
) -> Outputs:
    """The network's answer for one film, float32 [1, H, W]."""
    network, config = module.network, module.network.config
    threshold = min(max(config.mask_threshold + threshold_moved, 0.0), 1.0)
    network.config = replace(config, mask_threshold=threshold)
    try:
        scores, labels, masks = (
            output[0].numpy() for output in module(torch.from_numpy(canvas[None]))
        )
    finally:
        network.config = config
    return scores, labels, masks


def _nearby(
    module: OnnxNetwork, canvas: npt.NDArray[np.float32], found: Outputs
) -> tuple[float, int] | None:
    """The differences from an answer with the threshold moved by rounding, if one is alike."""
    for moved in (-_THRESHOLD_ROUNDING, _THRESHOLD_ROUNDING):
        with suppress(ParityError):
            return _difference(_answer(module, canvas, moved), found, "")
    return None


def _difference(expected: Outputs, found: Outputs, where: str) -> tuple[float, int]:
    for name, a, b in zip(OUTPUT_NAMES, expected, found, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise ParityError(
                f"{where}: '{name}' is {b.dtype} {b.shape}, PyTorch's is {a.dtype} {a.shape}"
            )
    scores, labels, masks = expected
    score = float(np.abs(scores - found[0]).max())
    if not score <= SCORE_TOLERANCE:
        raise ParityError(
            f"{where}: a score differs by {score:.2e}, {SCORE_TOLERANCE:.0e} is allowed"
        )
    # Instances whose scores are within the tolerance of each other may stand in either order.
    gaps = np.abs(np.diff(scores))
    apart = np.append(True, gaps > 2 * SCORE_TOLERANCE) & np.append(
        gaps > 2 * SCORE_TOLERANCE, True
    )
    sure = apart & (scores > 0)
    if (labels != found[1])[sure].any():
        raise ParityError(f"{where}: a label differs")
    mask = int(np.abs(masks[sure].astype(int) - found[2][sure].astype(int)).max(initial=0))
    if mask > MASK_TOLERANCE:
        raise ParityError(f"{where}: a mask differs by {mask} of 255, {MASK_TOLERANCE} is allowed")
    return score, mask
