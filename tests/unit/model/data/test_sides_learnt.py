"""A network that is taught by mirrored films tells left from right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.configuration.network import Level
from model.configuration.presets import PRESETS
from model.configuration.recipe import Preset
from model.data.coco import CocoDataset, load_coco
from model.evaluation.measure import measure, predict
from model.network.backbone import load_imagenet
from model.network.solo_network import SoloNetwork
from model.training.trainer import Trainer
from tests.support.coco_folder import Document, annotation, circle, disc_film, image, write

SIDE = 128
STEPS = 150


def two_discs(folder: Path, count: int, seed: int) -> CocoDataset:
    """Films with two equal discs, "left" on the right as on a frontal radiograph."""
    rng = np.random.default_rng(seed)
    images: list[Document] = []
    objects: list[Document] = []
    films = {}
    for number in range(count):
        name = f"{number}.png"
        images.append(image(id=number, file_name=name, height=SIDE, width=SIDE))
        film = np.full((SIDE, SIDE), 40, np.uint8)
        for category, middle in ((1, 90.0), (2, 38.0)):
            centre = (middle + rng.uniform(-8, 8), 64 + rng.uniform(-25, 25))
            film = np.maximum(film, disc_film(centre, 16, (SIDE, SIDE)))
            outline = [circle(centre, 16)]
            objects.append(
                annotation(
                    id=len(objects), image_id=number, category_id=category, segmentation=outline
                )
            )
        films[name] = film
    categories = [{"id": 1, "name": "left"}, {"id": 2, "name": "right"}]
    content = {"categories": categories, "images": images, "annotations": objects}
    return load_coco(write(folder, content, films))


@pytest.mark.long
def test_labels_that_follow_the_mirror_teach_left_and_right(tmp_path: Path) -> None:
    """With labels that stay as they are AP50 ends at 0.71, and no film has both sides right."""
    train, test = two_discs(tmp_path / "a", 40, 1), two_discs(tmp_path / "b", 20, 2)
    preset = PRESETS["cxr-lungs"]((train.class_names, train.category_ids))
    model = replace(preset.model, canvas_size=(SIDE, SIDE), levels=(Level(4, 16, 8, (1, 2048)),))
    recipe = replace(preset.train, iterations=STEPS, batch_size=4, ema_decay=0.95)
    torch.manual_seed(0)
    network = SoloNetwork(model)
    load_imagenet(network.backbone)
    trainer = Trainer(network, Preset(model, recipe), train, seed=0)
    trainer.run(tmp_path / "checkpoint.pt")
    measured = measure(test, predict(trainer.averaged, test))
    assert measured["ap50"] is not None
    assert measured["right_count"] is not None
    assert measured["ap50"] > 0.9
    assert measured["right_count"] > 0.7
