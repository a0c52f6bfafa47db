"""Masks for the tests of the page, as pycocotools has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

Mask = npt.NDArray[np.bool_]


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """Small masks, from specks to full ones."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    density = draw(st.sampled_from([0.0, 0.1, 0.4, 0.6, 0.9, 1.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return np.asarray(random.random((height, width)) < density)


def rle(mask: Mask) -> dict[str, Any]:
    """COCO compressed RLE with text counts."""
    encoded: dict[str, Any] = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return encoded | {"counts": encoded["counts"].decode()}


def counts(mask: Mask) -> str:
    """COCO's compressed counts."""
    return str(rle(mask)["counts"])


def decoded(text: str, shape: tuple[int, ...]) -> Mask:
    """The mask of compressed counts."""
    return np.asarray(coco_mask.decode({"size": list(shape), "counts": text.encode()}) > 0)
