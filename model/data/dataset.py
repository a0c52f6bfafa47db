"""Training samples: a reproducible stream of augmented films with their ground truth."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from model.configuration.recipe import Augmentation
from model.data.augment import random_placement
from model.data.coco import CROWDS, CocoDataset, DatasetError, ImageRecord
from model.data.copy_paste import Placed, paste
from model.data.film_cache import FilmCache, Reduced, share_of_memory
from model.data.objects import Objects
from model.data.photometric import change_grey_values
from model.data.radiograph import read_radiograph
from model.data.rasterise import Affine, coverage, warp
from model.data.repeats import draw_round, repeat_factors
from model.data.sides import find_sides
from solo.contract.greyscale import as_grey

SMALLEST_OBJECT = 4  # canvas pixels; less of an object than that is not trained on
_VISIBLE = 0.1  # nor is an object of which a crop left less than this part
_PASTED = 0.5  # of another film's objects
_PASTING = 1  # marks that generator; not 0, which would seed the same as without

Sample = tuple[Tensor, Objects]


class TrainingStream(Dataset[Sample]):
    """Map-style dataset of a training run's augmented samples.

    Sample i depends on the seed and on i alone, so that a resumed run sees what an unbroken one
    would have seen. Every film comes once in each round of `len(images)` samples, or as often as
    its classes are rare (`repeat_threshold`).

    Args:
        data: the films to train on.
        canvas_size: (height, width).
        length: samples in the run.
        seed: of the order and of every augmentation.
        augmentation: what changes at random in each film.
        cache_bytes: of films that are kept in memory, by each process that reads them; by default a
            quarter of what is free.

    Raises:
        ValueError: if `side_pairs` does not fit the classes.
        DatasetError: if there are objects, but every one is too small on this canvas.
    """

    def __init__(
        self,
        data: CocoDataset,
        canvas_size: tuple[int, int],
        length: int,
        seed: int,
        augmentation: Augmentation | None = None,
        cache_bytes: int | None = None,
    ) -> None:
        self.images = data.images
        self.canvas_size = canvas_size
        self.length = length
        self.seed = seed
        self.augmentation = augmentation or Augmentation()
        _require_visible(data, canvas_size, self.augmentation.scale[1])
        self.sides = find_sides(data.class_names, self.augmentation.side_pairs)
        self._swapped = self.sides.swapped
        self._factors = repeat_factors(data, self.augmentation.repeat_threshold)
        self._crowds_alone = data.crowds_alone
        self._longest = round(2.5 * max(canvas_size))
        self._cache = FilmCache(share_of_memory(1) if cache_bytes is None else cache_bytes)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        """Image float32 [1, H, W] in [0, 1], and the objects on it."""
        turn, place = divmod(index, len(self.images))
        rng = np.random.default_rng((self.seed, turn, place))
        film, reduction = self._read(record := self.film(index))
        to_canvas = self._place(record, rng)
        # Black is what the letterbox puts around a film; other collimators leave other greys.
        fill = int(rng.integers(0, 256)) if rng.random() < 0.5 else 0
        placed = _from_reduced(to_canvas, reduction)
        grey = warp(film, placed, self.canvas_size, fill)
        masks, labels = self._objects(record, to_canvas)
        if self.augmentation.copy_paste:
            # Of its own, so that what else is drawn does not depend on it.
            own = np.random.default_rng((self.seed, turn, place, _PASTING))
            if own.random() < self.augmentation.copy_paste:
                shown = warp(_white(film), placed, self.canvas_size, 0)
                grey, pasted, more = self._paste(Placed(grey, shown), own)
                masks, labels = np.concatenate([masks, pasted]), labels + more
        if self.augmentation.grey_values:
            grey = change_grey_values(grey, rng)
        image = torch.from_numpy(grey).to(torch.float32).div_(255).unsqueeze(0)
        return image, Objects(
            torch.from_numpy(masks), tight_boxes(masks), torch.tensor(labels).long()
        )

    def film(self, index: int) -> ImageRecord:
        """The film that sample `index` shows."""
        turn, place = divmod(index, len(self.images))
        rng = np.random.default_rng((self.seed, turn))
        return self.images[int(draw_round(self._factors, len(self.images), rng)[place])]

    def notes(self) -> list[str]:
        """What a user should know of the samples before the first step, a sentence each."""
        told = self.sides.describe() if self.augmentation.mirror else []
        told += [f"Every '{name}' is a crowd. {CROWDS}" for name in self._crowds_alone]
        kept, films = self._cache.most_bytes, len(self.images)
        room = kept // self._longest**2
        return [
            *told,
            f"Films are kept in memory, up to {kept / 2**20:,.0f} MiB in each process that reads "
            f"them, which holds {f'all {films:,}' if room >= films else f'{room:,} of {films:,}'}.",
        ]

    def _read(self, record: ImageRecord) -> Reduced:
        key = (record.path, record.frame)
        return self._cache.get(key, lambda: _read_reduced(record, self._longest))

    def _place(self, record: ImageRecord, rng: np.random.Generator) -> Affine:
        strengths = self.augmentation
        if not self.sides.may_mirror(record):
            strengths = replace(strengths, mirror=0.0)
        return random_placement((record.height, record.width), self.canvas_size, strengths, rng)

    def _objects(
        self, record: ImageRecord, to_canvas: Affine
    ) -> tuple[npt.NDArray[np.uint8], list[int]]:
        masks, labels = [np.empty((0, *self.canvas_size), np.uint8)], []
        determinant = float(np.linalg.det(to_canvas[:, :2]))
        for annotation in record.annotations:
            if annotation.is_crowd:
                continue
            mask = coverage(annotation, to_canvas, self.canvas_size)
            visible = int((mask >= 128).sum())
            if visible >= max(SMALLEST_OBJECT, _VISIBLE * annotation.area * abs(determinant)):
                masks.append(mask[None])
                label = annotation.label
                labels.append(int(self._swapped[label]) if determinant < 0 else label)
        return np.concatenate(masks), labels

    def _paste(
        self, target: Placed, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], list[int]]:
        """A film with about half of the objects of another one, their masks and labels."""
        record = self.images[int(rng.integers(len(self.images)))]
        film, reduction = self._read(record)
        to_canvas = self._place(record, rng)
        masks, labels = self._objects(record, to_canvas)
        drawn = np.flatnonzero(rng.random(len(masks)) < _PASTED)
        placed = _from_reduced(to_canvas, reduction)
        source = Placed(*(warp(f, placed, self.canvas_size, 0) for f in (film, _white(film))))
        grey, masks, kept = paste(target, source, masks[drawn])
        large = (masks >= 128).sum((1, 2)) >= SMALLEST_OBJECT
        return grey, masks[large], [labels[place] for place in drawn[kept][large]]


def _require_visible(data: CocoDataset, canvas_size: tuple[int, int], largest: float) -> None:
    """Refuses a data set whose objects all vanish on the canvas, even on films scaled up."""
    areas = [
        annotation.area * (min(canvas_size[0] / film.height, canvas_size[1] / film.width)) ** 2
        for film in data.images
        for annotation in film.annotations
        if not annotation.is_crowd
    ]
    if areas and max(areas) * largest**2 < SMALLEST_OBJECT:
        raise DatasetError(
            f"The largest object covers {max(areas):.1f} pixels of a canvas of {canvas_size}, and "
            f"{SMALLEST_OBJECT} are the least that is trained on: take a larger canvas."
        )


def _white(film: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.full_like(film, 255)


def _from_reduced(to_canvas: Affine, reduction: tuple[float, float]) -> Affine:
    """The placement of a film that was reduced."""
    from_reduced = to_canvas.copy()
    from_reduced[:, :2] /= reduction
    return from_reduced


def _read_reduced(record: ImageRecord, longest: int) -> Reduced:
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
