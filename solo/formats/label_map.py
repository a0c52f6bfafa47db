"""Label maps: a grey picture with the number of the instance in each pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from solo.result import Result


def label_map(result: Result) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """N where the result's n-th instance is, from 1; 0 elsewhere: [height, width].

    Where instances overlap, the better one is in front. uint8, or uint16 for more than 255 of them.
    """
    kind = np.uint8 if len(result.instances) < 256 else np.uint16
    labels = np.zeros((result.radiograph.height, result.radiograph.width), kind)
    for number, instance in reversed(list(enumerate(result.instances, 1))):
        x, y, width, height = instance.bbox
        labels[y : y + height, x : x + width][instance.runs.crop() > 0] = number
    return labels
