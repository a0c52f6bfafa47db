"""COCO documents made of a layout that has none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets.gather.layouts.export import Export, Loss
from model.data.annotation_file import SPLITS
from model.data.coco import DatasetError

Size = tuple[int, int]


class KnownFilms(dict[str, Path]):
    """Films whose files are known by name."""

    def find(self, name: str, *, anywhere: bool = False) -> Path:  # noqa: ARG002  # of `Films`
        """The film of this name."""
        return self[name]


class Translation:
    """COCO documents of a layout that has none, a split each.

    An image's id is made of its film's name: a film that no patient is named of keeps its fold when
    others are added.

    Args:
        folder: of the source.
        class_names: in their order, where the layout has a list of them.
    """

    def __init__(self, folder: Path, class_names: Sequence[str] = ()) -> None:
        self.notes: dict[str, None] = {}
        self._folder = folder
        self._category_ids = {name: key for key, name in enumerate(class_names, 1)}
        self._films = KnownFilms()
        self._images: dict[int, dict[str, Any]] = {}
        self._splits: dict[int, str] = {}
        self._annotations: list[dict[str, Any]] = []
        self._lost: list[tuple[str, Loss]] = []

    def __bool__(self) -> bool:
        return bool(self._images)

    def sentences(self) -> list[str]:
        """What was dropped so far."""
        return [loss.sentence for _, loss in self._lost]

    def name(self, path: Path) -> str:
        """A file's path below the source's folder."""
        return path.relative_to(self._folder).as_posix()

    def add_film(self, path: Path, size: Size, split: str = "", name: str = "") -> int:
        """Adds a film; returns its id."""
        name = name or self.name(path)
        key = int.from_bytes(hashlib.sha256(name.encode(errors="replace")).digest()[:4]) >> 1
        while key in self._images:
            key += 1
        self._images[key] = {"id": key, "file_name": name, "height": size[0], "width": size[1]}
        self._splits[key] = split
        self._films[name] = path
        return key

    def add_object(self, film: int, class_name: str, segmentation: object) -> None:
        """Adds an object of a film by COCO's `segmentation`."""
        category = self._category_ids.setdefault(class_name, len(self._category_ids) + 1)
        self._annotations.append(
            {
                "id": len(self._annotations) + 1,
                "image_id": film,
                "category_id": category,
                "segmentation": segmentation,
            }
        )

    def drop(self, sentence: str, *, films: int = 0, instances: int = 0, split: str = "") -> None:
        """Counts what is dropped."""
        self._lost.append((split, Loss(sentence, films, instances)))

    def exports(self) -> Iterator[Export]:
        """A document for each split that has films.

        Raises:
            DatasetError: if no film is left, with what became of them.
        """
        if not self._images:
            raise DatasetError(*self.sentences(), "no film can be read")
        categories = [{"id": key, "name": name} for name, key in self._category_ids.items()]
        splits = sorted(set(self._splits.values()), key=SPLITS.index)
        for split in splits:
            images = [self._images[key] for key, own in self._splits.items() if own == split]
            keys = {image["id"] for image in images}
            objects = [entry for entry in self._annotations if entry["image_id"] in keys]
            lost = [
                loss
                for own, loss in self._lost
                if own == split or (own not in splits and split == splits[0])
            ]
            yield Export(
                {"categories": categories, "images": images, "annotations": objects},
                self._films,
                split,
                lost,
                list(self.notes) if split == splits[0] else [],
                {str(image["id"]): image["file_name"] for image in images},
            )
