"""Hard, soft and fast NMS on strips whose overlaps are known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.mask_nms import hard_nms, soft_nms
from model.network.matrix_nms import fast_nms, overlap_with_better

few = settings(derandomize=True, database=None, max_examples=40)


def strips(*spans: tuple[int, int]) -> Tensor:
    columns = torch.arange(40)
    rows = [(columns >= first) & (columns < last) for first, last in spans]
    return torch.stack(rows)[None, :, None]


def overlaps(masks: Tensor, labels: list[int], scores: list[float]) -> tuple[Tensor, Tensor]:
    as_scores = torch.tensor([scores])
    return overlap_with_better(masks, torch.tensor([labels]), as_scores), as_scores


# A-B and B-C overlap by half of their union, A-C by 1/5.
CHAIN = strips((0, 9), (3, 12), (6, 15))


def test_a_chain() -> None:
    iou, scores = overlaps(CHAIN, [0, 0, 0], [0.9, 0.8, 0.7])
    a, b, c = scores[0].tolist()
    assert hard_nms(iou, scores, 0.4)[0].tolist() == [a, 0, c]  # B is gone, so C stays
    assert fast_nms(iou, scores, 0.4)[0].tolist() == [a, 0, 0]  # B is gone, and takes C along
    assert hard_nms(iou, scores, 0.5)[0].tolist() == [a, b, c]  # not above
    # A lowers B to 0.8 exp(-1/2) = 0.485 and C to 0.7 exp(-0.08) = 0.646: C comes next.
    lowered = 0.8 * math.exp(-0.25 / 0.5) * math.exp(-0.25 / 0.5)
    assert soft_nms(iou, scores)[0].tolist() == pytest.approx(
        [0.9, lowered, 0.7 * math.exp(-0.04 / 0.5)]
    )


def test_other_classes_and_missing_entries_are_left_alone() -> None:
    same = strips((0, 9), (0, 9), (0, 9))
    iou, scores = overlaps(same, [0, 1, 0], [0.9, 0.8, 0.0])
    for suppress in (hard_nms, soft_nms, fast_nms):
        assert torch.equal(suppress(iou, scores), scores)


def test_no_masks() -> None:
    iou, scores = torch.zeros(2, 0, 0), torch.zeros(2, 0)
    for suppress in (hard_nms, soft_nms, fast_nms):
        assert suppress(iou, scores).shape == (2, 0)


def greedy(iou: Tensor, scores: Tensor, threshold: float) -> list[float]:
    """One film, written as the words have it."""
    kept: list[int] = []
    for j in sorted(range(len(scores)), key=lambda j: (-scores[j].item(), j)):
        if scores[j] > 0 and all(iou[i, j] <= threshold for i in kept):
            kept.append(j)
    return [scores[j].item() if j in kept else 0.0 for j in range(len(scores))]


def softly(iou: Tensor, scores: Tensor, sigma: float) -> list[float]:
    current, left = scores.tolist(), [j for j in range(len(scores)) if scores[j] > 0]
    while left:
        best = max(left, key=lambda j: (current[j], -j))
        left.remove(best)
        for j in left:
            shared = max(iou[best, j].item(), iou[j, best].item())
            current[j] *= math.exp(-(shared**2) / sigma)
    return current


@few
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 15), threshold=st.floats(0.05, 0.9))
def test_batches_of_random_strips(seed: int, count: int, threshold: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    ends = torch.randint(0, 20, (2, count, 2), generator=generator).sort(dim=2).values
    columns = torch.arange(21)
    masks = (columns >= ends[..., :1]) & (columns <= ends[..., 1:])
    labels = torch.randint(0, 2, (2, count), generator=generator)
    scores = torch.rand(2, count, generator=generator)
    scores = torch.where(scores < 0.1, 0.0, scores)
    iou = overlap_with_better(masks[:, :, None], labels, scores)
    for film in range(2):
        pair = iou[film], scores[film]
        assert hard_nms(iou, scores, threshold)[film].tolist() == greedy(*pair, threshold)
        found = soft_nms(iou, scores, threshold)[film].tolist()
        assert found == pytest.approx(softly(*pair, threshold), abs=1e-5)
        survivors = fast_nms(iou, scores, threshold)[film] > 0
        assert (hard_nms(iou, scores, threshold)[film][survivors] > 0).all()
