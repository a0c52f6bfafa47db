"""TensorBoard log: losses, rates, and pictures of training samples."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tensorboardX import SummaryWriter
from tensorboardX.proto.summary_pb2 import Summary
from torch import Tensor

from model.data.objects import Objects

_PICTURED = 4  # films of a batch
_COLOURS = ((80, 220, 80), (80, 160, 255), (255, 160, 80), (220, 80, 220), (80, 230, 230))


class RunLog:
    """TensorBoard log in a folder that `tensorboard --logdir` reads.

    Args:
        folder: made if it is not there; a resumed run adds to it.
        step: the step that a run goes on from: what an interrupted one wrote of later steps is
            hidden.
        scalars_every: steps from one point of a curve to the next.
        pictures_every: steps from one picture to the next.
    """

    def __init__(
        self, folder: Path, step: int = 0, scalars_every: int = 10, pictures_every: int = 500
    ) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=step)
        self._scalars_every = scalars_every
        self._pictures_every = pictures_every

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Adds a point to each curve, at every so many steps."""
        if step % self._scalars_every == 0:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def pictures(self, step: int, images: Tensor, batch: list[Objects]) -> None:
        """Shows the first films of a batch as the network sees them, at every so many steps.

        Args:
            step: of the run.
            images: float32 [N, 1, H, W] in [0, 1].
            batch: their objects.
        """
        if step % self._pictures_every:
            return
        drawn = [
            draw_sample(image[0].cpu().numpy(), objects)
            for image, objects in zip(images[:_PICTURED], batch, strict=False)
        ]
        page = np.hstack(drawn)
        _, png = cv2.imencode(".png", page)
        picture = Summary.Image(
            height=page.shape[0],
            width=page.shape[1],
            colorspace=page.shape[2],
            encoded_image_string=png.tobytes(),
        )
        # By hand, since tensorboardX's own way needs Pillow.
        summary = Summary(value=[Summary.Value(tag="training films", image=picture)])
        self._writer.file_writer.add_summary(summary, step)

    def close(self) -> None:
        """Writes what is still in memory."""
        self._writer.close()


def draw_sample(image: npt.NDArray[np.float32], objects: Objects) -> npt.NDArray[np.uint8]:
    """A training film with the outlines of its objects, a colour for each class in turn.

    Args:
        image: float32 [H, W] in [0, 1].
        objects: on it.

    Returns:
        uint8 [H, W, 3], BGR.
    """
    picture = cv2.cvtColor((image * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    for mask, label in zip(objects.masks.cpu().numpy(), objects.labels.tolist(), strict=True):
        inside = (mask >= 128).astype(np.uint8)
        edges, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, edges, -1, _COLOURS[label % len(_COLOURS)], 1)
    return picture.astype(np.uint8, copy=False)
