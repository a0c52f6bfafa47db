"""The benchmarks compare what is the same, and their tables come from what they were given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.average_precision import Film, mask_ap
from benchmarks.made_masks import made_scene
from benchmarks.nms import METHODS, compare_quality, network_predictions, plain_matrix_nms
from benchmarks.targets import looped_targets
from model.checkpoint import save_checkpoint
from model.coco import load_coco
from model.config import Preset, TrainConfig
from model.matrix_nms import matrix_nms
from model.targets import assign, binary_mask_targets
from tests.support import random_inputs
from tests.support.coco_folder import disc_folder
from tests.support.small_network import small_config
from tests.support.tiny import lively, tiny_config


def test_the_plain_form_has_the_same_scores() -> None:
    scene = made_scene(np.random.default_rng(1), (40, 60), 5, 60, 2)
    masks, labels, scores = (torch.from_numpy(x) for x in (scene.masks, scene.labels, scene.scores))
    found = matrix_nms(masks[None], labels[None], scores[None])[0]
    torch.testing.assert_close(found, plain_matrix_nms(masks, labels, scores), rtol=0, atol=1e-6)
    assert (found < scores).sum() > 30


def test_the_loop_has_the_same_targets() -> None:
    objects = random_inputs.objects(np.random.default_rng(5), 12, (128, 160))
    binary = binary_mask_targets(objects.masks)
    pairs = zip(
        looped_targets(objects, small_config()), assign(objects, small_config()), strict=True
    )
    for (cells, masks), level in pairs:
        assert cells == level.cells.tolist()
        assert torch.equal(binary[level.objects], masks.float())


def test_average_precision() -> None:
    scene = made_scene(np.random.default_rng(2), (80, 100), 4, 1, 2)
    truth = Film(scene.truth, scene.truth_labels)
    perfect = Film(scene.truth, scene.truth_labels, np.full(4, 0.9, np.float32))
    assert mask_ap([truth], [perfect]) == pytest.approx(1)
    wrong = Film(~scene.truth, scene.truth_labels, np.full(4, 0.9, np.float32))
    assert mask_ap([truth], [wrong]) < 0.1
    nothing = Film(scene.truth[:0], scene.truth_labels[:0], np.zeros(0, np.float32))
    assert mask_ap([truth], [nothing]) == 0


def test_a_networks_predictions_make_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load_coco(disc_folder(tmp_path / "films", 2))
    config = tiny_config(class_names=data.class_names, category_ids=data.category_ids)
    preset = Preset(config, TrainConfig(1))
    weights = lively(config).state_dict()
    save_checkpoint(tmp_path / "checkpoint.pt", preset, {"weights": weights})
    predictions = network_predictions(tmp_path / "checkpoint.pt", tmp_path / "films")
    compare_quality(predictions, 1, "A network")
    lines = capsys.readouterr().out.splitlines()
    assert "A network: 2 films" in lines[1]
    rows = [line.split(" | ") for line in lines if line.startswith("| ")][1:]
    assert [row[0].removeprefix("| ") for row in rows] == list(METHODS)
    assert all(0 <= float(row[2].removesuffix(" |")) <= 1 for row in rows)
