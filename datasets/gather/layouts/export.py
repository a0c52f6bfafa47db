"""What a layout is read into: a COCO document a split, which one checker then examines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model.data.coco import Films


@dataclass(frozen=True)
class Loss:
    """What a layout's reader dropped, as `Ledger.drop` counts it."""

    sentence: str
    films: int = 0
    instances: int = 0


@dataclass(frozen=True)
class Export:
    """One split of a source.

    Attributes:
        document: a COCO document, which nobody has checked.
        films: who finds its films.
        split: train, val or test; "" for a source without splits.
        lost: what is not in the document.
        notes: sentences on what was understood and may be meant otherwise.
        film_names: by image id, where the ids are none that the source has.
    """

    document: dict[str, Any]
    films: Films
    split: str = ""
    lost: Sequence[Loss] = ()
    notes: Sequence[str] = ()
    film_names: Mapping[str, str] = field(default_factory=dict)
