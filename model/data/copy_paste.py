"""Copy-paste of objects from one film to another (arXiv 2012.07177), as a projection has it.

In a photograph the pasted object hides what is behind it. A radiograph shows the sum of what the
beam passed, and its greys are close to linear in that sum once the film is processed for display
(the logarithm of the exposure). So what an object adds to its surroundings on one film is added to
the other, and both stay visible. Air takes away.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

GreyImage = npt.NDArray[np.uint8]
_LEAST_WEIGHT = 1e-4  # of what is seen of the surroundings through the blur
_LEAST_SIGMA = 1.0  # canvas pixels
_LEAST_SEEN = 0.5  # of what an object adds
_WHITE = 255


@dataclass(frozen=True)
class Placed:
    """A film on the canvas.

    Attributes:
        grey: uint8 [H, W].
        shown: uint8 [H, W], 255 where the canvas shows the film and not what is around it.
    """

    grey: GreyImage
    shown: GreyImage


def paste(
    film: Placed, source: Placed, masks: GreyImage
) -> tuple[GreyImage, GreyImage, npt.NDArray[np.bool_]]:
    """Adds objects of one film to another, each at its place on the canvas.

    An object of which half is not to be seen, outside of the film or beyond white and black, is
    not pasted.

    Args:
        film: the one that gets them.
        source: the one that has them.
        masks: uint8 [n, H, W], 0 to 255: coverage on the source.

    Returns:
        The grey values, uint8 [H, W]; the masks on the film, uint8 [m, H, W]; and which of the n
        these are, bool [n].
    """
    greys = film.grey.astype(np.float32)
    chosen = np.zeros(len(masks), np.bool_)
    for place, mask in enumerate(masks):
        added = _contribution(source, mask)
        pasted = np.clip(greys + added * (film.shown > 0), 0, _WHITE)
        seen = np.abs(pasted - greys).sum()
        if seen > 0 and seen >= _LEAST_SEEN * np.abs(added).sum():
            greys, chosen[place] = pasted, True
    return np.rint(greys).astype(np.uint8), np.minimum(masks[chosen], film.shown), chosen


def _contribution(source: Placed, mask: GreyImage) -> npt.NDArray[np.float32]:
    """What an object adds to its surroundings, float32 [H, W], 0 outside of it.

    Its surroundings go on beneath it as a weighted mean of what is around it (normalised
    convolution), with a Gaussian of about the object's radius.
    """
    covered = mask.astype(np.float32) / 255
    sigma = max(_LEAST_SIGMA, float(np.sqrt(covered.sum())) / 2)
    around = source.shown.astype(np.float32) / 255 * (mask == 0)
    weight = cv2.GaussianBlur(around, (0, 0), sigma)
    greys = cv2.GaussianBlur(around * source.grey, (0, 0), sigma)
    known = weight > _LEAST_WEIGHT
    beneath = np.where(known, greys / np.maximum(weight, _LEAST_WEIGHT), source.grey)
    return np.asarray(covered * (source.grey - beneath), np.float32)
