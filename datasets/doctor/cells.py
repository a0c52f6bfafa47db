"""Target assignment of a whole data set, counted: objects that a network's grids would lose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pycocotools import mask as coco_mask
from torch import Tensor

from datasets.doctor.findings import Finding
from model.configuration.network import ModelConfig
from model.data.coco import CocoDataset, ImageRecord
from model.data.dataset import SMALLEST_OBJECT, tight_boxes
from model.data.objects import Objects
from model.data.rasterise import coverage
from model.training.targets import assign, mask_targets
from solo.contract.letterbox import Letterbox

TROUBLES = {
    "lost": "objects have no cell of their own: each of their cells also outlines another object, "
    "and is taught two masks at once. Finer grids or other scale ranges help; objects of one level "
    "with one centre stay inseparable, since a cell has one kernel.",
    "shared": "objects share some of their cells with another object and keep others.",
    "too small": "objects are too small for the canvas: fewer than "
    f"{SMALLEST_OBJECT} pixels, or nowhere half of a mask cell. Training leaves them out or "
    "teaches an empty mask; a larger canvas helps.",
    "out of scale range": "objects are out of scale range: no level's holds them, and they are not "
    "trained on.",
}
"""Each kind of trouble, worst first, and what it means."""


@dataclass(frozen=True, eq=False)  # compared by identity: tensors have no single truth
class PlacedImage:
    """A film's objects on the canvas, their masks as run lengths: whole data sets stay in memory.

    Attributes:
        rles: of each binary mask.
        boxes: float32 [n, 4], as in `Objects`.
        labels: int64 [n].
        too_small: bool [n], too small for the canvas.
    """

    rles: list[dict[str, Any]]
    boxes: Tensor
    labels: Tensor
    too_small: Tensor

    @classmethod
    def of(cls, objects: Objects) -> PlacedImage:
        """Packs the objects of a film."""
        pixels = (objects.masks >= 128).flatten(1).sum(1)
        strongest = mask_targets(objects.masks).flatten(1).amax(1)
        too_small = (pixels < SMALLEST_OBJECT) | (strongest < 0.5)
        binary = (objects.masks >= 128).to(torch.uint8).permute(1, 2, 0).numpy()
        rles = coco_mask.encode(np.asfortranarray(binary))
        return cls(rles, objects.boxes, objects.labels, too_small)

    def trained(self) -> Objects:
        """The objects that are not too small."""
        kept = (~self.too_small).nonzero()[:, 0].tolist()
        masks = coco_mask.decode([self.rles[index] for index in kept]) * np.uint8(255)
        stacked = torch.from_numpy(np.ascontiguousarray(masks.transpose(2, 0, 1)))
        return Objects(stacked, self.boxes[~self.too_small], self.labels[~self.too_small])


@dataclass(frozen=True)
class SeenObject:
    """One object under a configuration: its scale, and what is wrong with its targets.

    Attributes:
        image_id: of its film.
        index: among the film's annotations that are no crowd.
        scale: sqrt of its box's area, in canvas pixels.
        trouble: one of `TROUBLES`, or None.
    """

    image_id: int
    index: int
    scale: float
    trouble: str | None


@dataclass(frozen=True)
class Survey:
    """Target statistics: all objects of a data set under one configuration."""

    config: ModelConfig
    objects: tuple[SeenObject, ...] = field(repr=False)

    def count(self, trouble: str) -> int:
        """Number of objects with a trouble."""
        return sum(item.trouble == trouble for item in self.objects)

    def findings(self) -> list[Finding]:
        """A sentence for each kind of trouble that occurs."""
        found = []
        for trouble, meaning in TROUBLES.items():
            ids = tuple(
                dict.fromkeys(item.image_id for item in self.objects if item.trouble == trouble)
            )
            if ids:
                share = f"{self.count(trouble)} of {len(self.objects)}"
                found.append(Finding(f"{share} {meaning}", ids))
        most = self.most_on_a_film()
        if most > self.config.max_instances:
            found.append(
                Finding(
                    f"A film has {most} objects, an answer at most {self.config.max_instances} "
                    "(max_instances)."
                )
            )
        return found

    def most_on_a_film(self) -> int:
        """Objects of the film that has the most."""
        ids, counts = np.unique([item.image_id for item in self.objects], return_counts=True)
        return int(counts.max()) if len(ids) else 0


def place_objects(record: ImageRecord, canvas_size: tuple[int, int]) -> Objects:
    """Ground truth of a film on its letterbox; none but crowds are left out."""
    masks = [
        coverage(annotation, letterbox_affine(record, canvas_size), canvas_size)
        for annotation in record.annotations
        if not annotation.is_crowd
    ]
    stacked = np.array(masks, np.uint8).reshape(-1, *canvas_size)
    labels = [a.label for a in record.annotations if not a.is_crowd]
    return Objects(torch.from_numpy(stacked), tight_boxes(stacked), torch.tensor(labels).long())


def letterbox_affine(record: ImageRecord, canvas_size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Affine map [2, 3] from the film's pixels to the canvas, both with corners at integers."""
    box = Letterbox.fit((record.height, record.width), canvas_size)
    scale_x, scale_y = box.width / record.width, box.height / record.height
    return np.array([[scale_x, 0, box.left], [0, scale_y, box.top]], np.float64)


def survey(data: CocoDataset, placed: Iterable[PlacedImage], config: ModelConfig) -> Survey:
    """Assigns every object as training would under a configuration, and names its trouble.

    Args:
        data: the films.
        placed: the objects of each, on the configuration's canvas.
        config: the network.
    """
    found: list[SeenObject] = []
    for record, film in zip(data.images, placed, strict=True):
        scales = (film.boxes[:, 2:] - film.boxes[:, :2]).prod(1).sqrt().tolist()
        for index, trouble in enumerate(_troubles(film, config)):
            found.append(SeenObject(record.image_id, index, scales[index], trouble))
    return Survey(config, tuple(found))


def _troubles(film: PlacedImage, config: ModelConfig) -> list[str | None]:
    count = len(film.labels)
    names = (~film.too_small).nonzero()[:, 0].tolist()
    cells = torch.zeros(count, dtype=torch.int64)
    own = torch.zeros(count, dtype=torch.int64)
    for level in assign(film.trained(), config) if names else []:
        _, place, users = level.cells.unique(return_inverse=True, return_counts=True)
        for name, sharing in zip(level.objects.tolist(), users[place].tolist(), strict=True):
            cells[names[name]] += 1
            own[names[name]] += int(sharing == 1)
    return [
        _name_trouble(bool(small), held, alone)
        for small, held, alone in zip(film.too_small, cells.tolist(), own.tolist(), strict=True)
    ]


def _name_trouble(too_small: bool, cells: int, own: int) -> str | None:
    if too_small:
        return "too small"
    if not cells:
        return "out of scale range"
    if not own:
        return "lost"
    return "shared" if own < cells else None
