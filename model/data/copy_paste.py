"""Copy-paste of objects from one film to another (arXiv 2012.07177), as a projection has it.

In a photograph the pasted object hides what is behind it. A radiograph shows the sum of what the
beam passed, and its greys are close to linear in that sum once the film is processed for display
(the logarithm of the exposure). So what an object adds to its surroundings on one film is added to
the other, and both stay visible. Air, such as a lung's, takes away.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

GreyImage = npt.NDArray[np.uint8]
_LEAST_WEIGHT = 1e-4  # of what is seen of the surroundings through the blur
_LEAST_SIGMA = 1.0  # canvas pixels


def paste(
    film: GreyImage, source: GreyImage, shown: GreyImage, masks: Iterable[GreyImage]
) -> GreyImage:
    """Adds objects of one film to another, each at its place on the canvas.

    Args:
        film: uint8 [H, W].
        source: uint8 [H, W], the film that has the objects.
        shown: uint8 [H, W], 255 where the canvas shows the source and not what is around it.
        masks: uint8 [H, W] each, 0 to 255: coverage on the source.

    Returns:
        uint8 [H, W], another array.
    """
    sum_of_greys = film.astype(np.float32)
    for mask in masks:
        sum_of_greys += _contribution(source, shown, mask)
    return np.clip(np.rint(sum_of_greys), 0, 255).astype(np.uint8)


def _contribution(source: GreyImage, shown: GreyImage, mask: GreyImage) -> npt.NDArray[np.float32]:
    """What an object adds to its surroundings, float32 [H, W], 0 outside of it.

    Its surroundings go on beneath it as a weighted mean of what is around it (normalised
    convolution), with a Gaussian of about the object's radius.
    """
    covered = mask.astype(np.float32) / 255
    sigma = max(_LEAST_SIGMA, float(np.sqrt(covered.sum())) / 2)
    around = shown.astype(np.float32) / 255 * (mask == 0)
    weight = cv2.GaussianBlur(around, (0, 0), sigma)
    greys = cv2.GaussianBlur(around * source, (0, 0), sigma)
    known = weight > _LEAST_WEIGHT
    beneath = np.where(known, greys / np.maximum(weight, _LEAST_WEIGHT), source)
    return np.asarray(covered * (source - beneath), np.float32)
