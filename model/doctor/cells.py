"""How a network's grids would see the objects: the targets of training, counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from model.coco import CocoDataset, ImageRecord
from model.config import ModelConfig
from model.contract.preprocess import Letterbox
from model.dataset import SMALLEST_OBJECT, tight_boxes
from model.doctor.findings import Finding
from model.rasterise import coverage
from model.targets import Objects, assign, mask_targets

TROUBLES = {
    "lost": "objects have no cell of their own: each of their cells also outlines another object, "
    "and is taught two masks at once. Finer grids or other scale ranges help; objects of one level "
    "with one centre stay inseparable, since a cell has one kernel.",
    "shared": "objects share some of their cells with another object and keep others.",
    "vanished": "objects are too small for the canvas: fewer than "
    f"{SMALLEST_OBJECT} pixels, or nowhere half of a mask cell. Training leaves them out or "
    "teaches an empty mask; a larger canvas helps.",
    "unranged": "objects are outside of every level's scale range and are not trained on.",
}
"""Each kind of trouble, worst first, and what it means."""


@dataclass(frozen=True)
class SeenObject:
    """How one object would be trained on.

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
    """All objects of a data set under one configuration."""

    config: ModelConfig
    objects: tuple[SeenObject, ...] = field(repr=False)

    def count(self, trouble: str) -> int:
        """How many objects have it."""
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
        most = self._most_on_a_film()
        if most > self.config.max_instances:
            found.append(
                Finding(
                    f"A film has {most} objects, an answer at most {self.config.max_instances} "
                    "(max_instances)."
                )
            )
        return found

    def _most_on_a_film(self) -> int:
        ids, counts = np.unique([item.image_id for item in self.objects], return_counts=True)
        return int(counts.max()) if len(ids) else 0


def place_objects(record: ImageRecord, canvas_size: tuple[int, int]) -> Objects:
    """The objects of a film as its letterbox shows them, none left out but crowds."""
    masks = [
        coverage(annotation, letterbox_affine(record, canvas_size), canvas_size)
        for annotation in record.annotations
        if not annotation.is_crowd
    ]
    stacked = np.array(masks, np.uint8).reshape(-1, *canvas_size)
    labels = [a.label for a in record.annotations if not a.is_crowd]
    return Objects(torch.from_numpy(stacked), tight_boxes(stacked), torch.tensor(labels).long())


def letterbox_affine(record: ImageRecord, canvas_size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """[2, 3], from the film's pixels to the canvas, both with corners at integers."""
    box = Letterbox.fit((record.height, record.width), canvas_size)
    scale_x, scale_y = box.width / record.width, box.height / record.height
    return np.array([[scale_x, 0, box.left], [0, scale_y, box.top]], np.float64)


def survey(data: CocoDataset, placed: Iterable[Objects], config: ModelConfig) -> Survey:
    """Looks at every object with the eyes of a configuration.

    Args:
        data: the films.
        placed: the objects of each, from `place_objects` with the configuration's canvas.
        config: the network.
    """
    found: list[SeenObject] = []
    for record, objects in zip(data.images, placed, strict=True):
        sizes = objects.boxes[:, 2:] - objects.boxes[:, :2]
        scales = sizes.prod(1).sqrt().tolist()
        for index, trouble in enumerate(_troubles(objects, config)):
            found.append(SeenObject(record.image_id, index, scales[index], trouble))
    return Survey(config, tuple(found))


def _troubles(objects: Objects, config: ModelConfig) -> list[str | None]:
    count = len(objects.labels)
    if not count:
        return []
    pixels = (objects.masks >= 128).flatten(1).sum(1)
    strongest = mask_targets(objects.masks).flatten(1).amax(1)
    vanished = (pixels < SMALLEST_OBJECT) | (strongest < 0.5)
    trained = Objects(objects.masks[~vanished], objects.boxes[~vanished], objects.labels[~vanished])
    names = (~vanished).nonzero()[:, 0].tolist()
    cells = torch.zeros(count, dtype=torch.int64)
    own = torch.zeros(count, dtype=torch.int64)
    for level in assign(trained, config):
        _, place, users = level.cells.unique(return_inverse=True, return_counts=True)
        for name, sharing in zip(level.objects.tolist(), users[place].tolist(), strict=True):
            cells[names[name]] += 1
            own[names[name]] += int(sharing == 1)
    return [
        _name_trouble(bool(gone), held, alone)
        for gone, held, alone in zip(vanished, cells.tolist(), own.tolist(), strict=True)
    ]


def _name_trouble(vanished: bool, cells: int, own: int) -> str | None:
    if vanished:
        return "vanished"
    if not cells:
        return "unranged"
    if not own:
        return "lost"
    return "shared" if own < cells else None
