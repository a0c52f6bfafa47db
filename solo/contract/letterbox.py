"""Letterbox and its inverse, the same for training, evaluation, parity and serving.

An image is scaled, keeping its aspect, until it fits the canvas, and centred on black. Masks go the
other way in the order of the SOLO reference: soft masks to canvas size, crop to the image's part of
the canvas, to the image's own size, and only then the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from solo.contract.greyscale import Grey
from solo.contract.instances import Instances


@dataclass(frozen=True)
class Letterbox:
    """Placement of an image on the canvas, in pixels.

    Attributes:
        image_size: (height, width) of the image.
        canvas_size: (height, width) of the canvas.
        top: first canvas row of the image.
        left: first canvas column of the image.
        height: canvas rows that the image takes.
        width: canvas columns that the image takes.
    """

    image_size: tuple[int, int]
    canvas_size: tuple[int, int]
    top: int
    left: int
    height: int
    width: int

    @classmethod
    def fit(cls, image_size: tuple[int, int], canvas_size: tuple[int, int]) -> Letterbox:
        """The centred letterbox of an image.

        Raises:
            ValueError: if a side of either is less than one pixel.
        """
        if min(*image_size, *canvas_size) < 1:
            raise ValueError(f"an image of {image_size} on a canvas of {canvas_size} has no pixels")
        scale = min(canvas_size[0] / image_size[0], canvas_size[1] / image_size[1])
        height = min(canvas_size[0], max(1, round(image_size[0] * scale)))
        width = min(canvas_size[1], max(1, round(image_size[1] * scale)))
        top, left = (canvas_size[0] - height) // 2, (canvas_size[1] - width) // 2
        return cls(image_size, canvas_size, top, left, height, width)

    def apply(self, image: Grey) -> npt.NDArray[np.float32]:
        """Puts an image on the canvas.

        Args:
            image: uint8 or uint16 [height, width], where the dtype's full range is black to white.

        Returns:
            float32 [canvas height, canvas width] in [0, 1].

        Raises:
            ValueError: if the image is not of `image_size`, or of another dtype.
        """
        if image.shape != self.image_size or image.dtype not in (np.uint8, np.uint16):
            raise ValueError(
                f"expected uint8 or uint16 {self.image_size}, got {image.dtype} {image.shape}"
            )
        resized = _resize(image, (self.height, self.width))
        canvas = np.zeros(self.canvas_size, np.float32)
        np.multiply(
            resized,
            np.float32(1 / np.iinfo(image.dtype).max),
            out=canvas[self._rows, self._columns],
        )
        return canvas

    def content(self, masks: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Soft masks of the image's part of the canvas, at canvas resolution.

        Args:
            masks: uint8 [N, h, w] over the whole canvas, at any stride.

        Returns:
            float32 [N, height, width] in [0, 255].
        """
        content = np.empty((len(masks), self.height, self.width), np.float32)
        for mask, out in zip(masks, content, strict=True):
            on_canvas = cv2.resize(
                mask.astype(np.float32), self.canvas_size[::-1], interpolation=cv2.INTER_LINEAR
            )
            out[:] = on_canvas[self._rows, self._columns]
        return content

    def window(self, mask_size: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns that the image touches, of masks of this size over the whole canvas."""
        rows, columns = (
            slice(first * size // side, -(-(first + length) * size // side))
            for first, length, size, side in zip(
                (self.top, self.left), (self.height, self.width), mask_size, self.canvas_size,
                strict=True,
            )
        )  # fmt: skip
        return rows, columns

    def restore(self, instances: Instances, mask_threshold: float = 0.5) -> npt.NDArray[np.bool_]:
        """Binary masks in the image's own pixels, upsampled and thresholded one by one.

        Returns:
            bool [N, image height, image width], true where the soft mask is above the threshold.
        """
        masks = np.empty((len(instances), *self.image_size), np.bool_)
        for soft, out in zip(self.content(instances.masks), masks, strict=True):
            resized = cv2.resize(soft, self.image_size[::-1], interpolation=cv2.INTER_LINEAR)
            np.greater(resized, 255 * mask_threshold, out=out)
        return masks

    @property
    def _rows(self) -> slice:
        return slice(self.top, self.top + self.height)

    @property
    def _columns(self) -> slice:
        return slice(self.left, self.left + self.width)


def _resize(image: Grey, size: tuple[int, int]) -> cv2.typing.MatLike:
    """Area averages where the image shrinks, bilinear where it grows.

    OpenCV averages pairs of rows and columns ten times faster than other areas, so a large film is
    halved first, while its sides are even and at least four times those of the result.
    """
    halved: cv2.typing.MatLike = image
    while min(halved.shape[0] / size[0], halved.shape[1] / size[1]) >= 4 and not (
        halved.shape[0] % 2 or halved.shape[1] % 2
    ):
        half = (halved.shape[1] // 2, halved.shape[0] // 2)
        halved = cv2.resize(halved, half, interpolation=cv2.INTER_AREA)
    shrinks = size[0] < image.shape[0] or size[1] < image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(halved, size[::-1], interpolation=method)
