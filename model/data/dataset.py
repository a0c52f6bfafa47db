"""Training samples: a reproducible stream of augmented films with their ground truth."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from model.configuration.recipe import Augmentation
from model.data.augment import random_placement
from model.data.coco import CocoDataset, ImageRecord
from model.data.objects import Objects
from model.data.photometric import change_grey_values
from model.data.radiograph import read_radiograph
from model.data.rasterise import coverage, warp
from solo.contract.greyscale import as_grey

_CACHED_FILMS = 1024
SMALLEST_OBJECT = 4  # canvas pixels; less of an object than that is not trained on
_VISIBLE = 0.1  # nor is an object of which a crop left less than this part

Sample = tuple[Tensor, Objects]


class TrainingStream(Dataset[Sample]):
    """Map-style dataset of a training run's augmented samples.

    Sample i depends on the seed and on i alone, so that a resumed run sees what an unbroken one
    would have seen. Every film comes once in each round of `len(images)` samples.

    Args:
        data: the films to train on.
        canvas_size: (height, width).
        length: samples in the run.
        seed: of the order and of every augmentation.
        augmentation: what changes at random in each film.
    """

    def __init__(
        self,
        data: CocoDataset,
        canvas_size: tuple[int, int],
        length: int,
        seed: int,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.images = data.images
        self.canvas_size = canvas_size
        self.length = length
        self.seed = seed
        self.augmentation = augmentation or Augmentation()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        """Image float32 [1, H, W] in [0, 1], and the objects on it."""
        turn, place = divmod(index, len(self.images))
        record = self.film(index)
        rng = np.random.default_rng((self.seed, turn, place))
        film, reduction = _read_reduced(record, round(2.5 * max(self.canvas_size)))
        size = (record.height, record.width)
        to_canvas = random_placement(size, self.canvas_size, self.augmentation, rng)
        from_reduced = to_canvas.copy()
        from_reduced[:, :2] /= reduction
        # Black is what the letterbox puts around a film; other collimators leave other greys.
        fill = int(rng.integers(0, 256)) if rng.random() < 0.5 else 0
        grey = warp(film, from_reduced, self.canvas_size, fill)
        if self.augmentation.grey_values:
            grey = change_grey_values(grey, rng)
        masks, labels = self._objects(record, to_canvas)
        image = torch.from_numpy(grey).to(torch.float32).div_(255).unsqueeze(0)
        return image, Objects(
            torch.from_numpy(masks), tight_boxes(masks), torch.tensor(labels).long()
        )

    def film(self, index: int) -> ImageRecord:
        """The film that sample `index` shows."""
        turn, place = divmod(index, len(self.images))
        order = np.random.default_rng((self.seed, turn)).permutation(len(self.images))
        return self.images[int(order[place])]

    def _objects(
        self, record: ImageRecord, to_canvas: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.uint8], list[int]]:
        masks, labels = [np.empty((0, *self.canvas_size), np.uint8)], []
        area_scale = abs(np.linalg.det(to_canvas[:, :2]))
        for annotation in record.annotations:
            if annotation.is_crowd:
                continue
            mask = coverage(annotation, to_canvas, self.canvas_size)
            visible = int((mask >= 128).sum())
            if visible >= max(SMALLEST_OBJECT, _VISIBLE * annotation.area * area_scale):
                masks.append(mask[None])
                labels.append(annotation.label)
        return np.concatenate(masks), labels


@lru_cache(_CACHED_FILMS)
def _read_reduced(
    record: ImageRecord, longest: int
) -> tuple[npt.NDArray[np.uint8], tuple[float, float]]:
    """The film in 8 bits, no side above `longest` pixels, and the reduction (x, y)."""
    film = read_radiograph(record)
    scale = longest / max(film.shape)
    if scale < 1:
        size = (max(1, round(film.shape[1] * scale)), max(1, round(film.shape[0] * scale)))
        film = as_grey(cv2.resize(film, size, interpolation=cv2.INTER_AREA))
    eight_bits = (film if film.dtype == np.uint8 else film >> 8).astype(np.uint8)
    return eight_bits, (film.shape[1] / record.width, film.shape[0] / record.height)


def collate(samples: list[Sample]) -> tuple[Tensor, list[Objects]]:
    """Samples to images [N, 1, H, W] and one `Objects` an image."""
    return torch.stack([image for image, _ in samples]), [objects for _, objects in samples]


def tight_boxes(masks: npt.NDArray[np.uint8]) -> Tensor:
    """The tight box of every mask.

    Args:
        masks: uint8 [n, H, W], 0 to 255; from 128 a pixel is the object's.

    Returns:
        float32 [n, 4], x1, y1, x2, y2, max exclusive; zeros for a mask without pixels.
    """
    boxes = np.zeros((len(masks), 4), np.float32)
    for mask, box in zip(masks, boxes, strict=True):
        x, y, width, height = cv2.boundingRect((mask >= 128).astype(np.uint8))
        box[:] = (x, y, x + width, y + height)
    return torch.from_numpy(boxes)
