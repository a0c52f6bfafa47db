"""Films of data sets on a network's canvas, and strange ones made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from model.data.coco import CocoDataset, ImageRecord
from model.data.radiograph import read_radiograph
from model.data.split import deal_patients
from solo.contract.greyscale import Grey, as_grey
from solo.contract.letterbox import Letterbox

Canvas = npt.NDArray[np.float32]
Size = tuple[int, int]
Item = TypeVar("Item")

STRANGE: Mapping[str, Callable[[Grey], Grey]] = MappingProxyType(
    {
        "turned": lambda film: np.rot90(film),
        "upside_down": lambda film: np.rot90(film, 2),
        "half_cropped": lambda film: film[: max(1, film.shape[0] // 2)],
    }
)
"""By kind: a quarter turn, a half turn, and the upper half alone."""

_MOST_COMPARED = 20


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class Films:
    """Films of several data sets, dealt out to folds by patient.

    Attributes:
        records: of all data sets.
        data_sets: int64 [n], which one each is of.
        folds: int64 [n].
    """

    records: tuple[ImageRecord, ...]
    data_sets: npt.NDArray[np.int64]
    folds: npt.NDArray[np.int64]

    @classmethod
    def of(cls, data: Sequence[CocoDataset], folds: int, most: int) -> Films:
        """At most so many films of each data set, evenly chosen."""
        chosen = [spread(films.images, most) for films in data]
        return cls.deal(
            [record for films in chosen for record in films],
            [number for number, films in enumerate(chosen) for _ in films],
            folds,
        )

    @classmethod
    def deal(cls, records: Sequence[ImageRecord], data_sets: Sequence[int], folds: int) -> Films:
        """Deals the patients of these films out to folds."""
        fold_of = deal_patients(map(_patient, records), folds)
        dealt = [fold_of[_patient(record)] for record in records]
        return cls(tuple(records), np.array(data_sets, np.int64), np.array(dealt, np.int64))

    def fewer(self, most: int) -> Films:
        """At most so many of each data set, evenly chosen."""
        each = [np.flatnonzero(self.data_sets == number) for number in np.unique(self.data_sets)]
        places = [int(place) for found in each for place in spread(found.tolist(), most)]
        records = tuple(self.records[place] for place in places)
        return Films(records, self.data_sets[places], self.folds[places])

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """What each film counts, float64 [n]: data sets count alike, whatever their size."""
        return 1 / np.bincount(self.data_sets)[self.data_sets]

    @property
    def patients(self) -> int:
        """How many there are."""
        return len({_patient(record) for record in self.records})


def _patient(record: ImageRecord) -> str:
    """Whose film it is: one name is one patient, and films without one are each of another."""
    unnamed = record.patient == f"the one of image {record.image_id}"
    return str(record.path.resolve()) if unnamed else record.patient


def place(film: Grey, canvas_size: Size) -> Canvas:
    """Letterboxes a film, uint8 or uint16 [height, width], to float32 [H, W]."""
    whole = as_grey(np.ascontiguousarray(film))
    return Letterbox.fit((whole.shape[0], whole.shape[1]), canvas_size).apply(whole)


def load_canvases(data: Sequence[CocoDataset], canvas_size: Size) -> Canvas:
    """Films to compare on, float32 [n, 1, H, W], evenly chosen from each data set, n <= 20."""
    each = max(1, _MOST_COMPARED // len(data))
    records = [record for films in data for record in spread(films.images, each)]
    canvases = [place(read_radiograph(record), canvas_size) for record in records]
    return np.stack(canvases[:_MOST_COMPARED])[:, None]


def spread(items: Sequence[Item], most: int) -> Sequence[Item]:
    """At most so many of them, evenly chosen from first to last."""
    chosen = min(most, len(items))
    return [items[place * len(items) // chosen] for place in range(chosen)]
