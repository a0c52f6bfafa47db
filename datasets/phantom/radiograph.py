"""A synthetic film and its ground truth, as every source of them returns it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Stored = npt.NDArray[np.uint16]


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class PhantomObject:
    """One object on a synthetic film.

    Attributes:
        category: its class name.
        structure: which one it is, in the words of the source.
        mask: bool [height, width], the pixels through whose centre a ray meets the object.
    """

    category: str
    structure: str
    mask: Mask


@dataclass(frozen=True, eq=False)
class PhantomRadiograph:
    """A synthetic film and its objects.

    Attributes:
        stored: uint16 [height, width] up to 4095, what absorbs is bright.
        objects: in the order in which they were placed.
        pixel_mm: between pixel centres, at the detector.
        patient: films of one patient may not be on both sides of a split.
        description: one sentence on how the film was made.
    """

    stored: Stored
    objects: tuple[PhantomObject, ...]
    pixel_mm: float
    patient: str
    description: str
