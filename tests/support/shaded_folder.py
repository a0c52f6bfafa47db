"""A data set in COCO format of films that a score tells from turned ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from model.data.coco import CocoDataset, load_coco
from tests.support.coco_folder import SIZE, document, image, write


def shaded(folder: Path, count: int, *, patients: bool = True, seed: int = 0) -> CocoDataset:
    """Films that are bright above and dark below, each a little otherwise."""
    rng = np.random.default_rng(seed)
    films, images = {}, []
    for index in range(count):
        ramp = np.linspace(rng.uniform(150, 250), rng.uniform(0, 60), SIZE[0])
        coarse = rng.normal(0, 8, (6, 6)).astype(np.float32)
        film = ramp[:, None] + cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        films[f"{index}.png"] = np.clip(film, 0, 255).astype(np.uint8)
        name = f"{folder.name} {index // 2}" if patients else None
        images.append(image(id=index, file_name=f"{index}.png", patientid=name))
    return load_coco(write(folder, document(images=images, annotations=[]), films))
