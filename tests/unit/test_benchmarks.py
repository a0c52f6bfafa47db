"""The benchmarks compare what is the same, and their tables come from what they were given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from benchmarks.accelerated import Images, time_graph
from benchmarks.average_precision import Film, mask_ap
from benchmarks.bare_parts import open_session
from benchmarks.made_masks import made_scene
from benchmarks.nms import METHODS, compare_quality, network_predictions, plain_matrix_nms
from benchmarks.plain_way import best_plain_masks, lungs, plain_answer, plain_masks
from benchmarks.targets import looped_targets
from model.configuration.recipe import Preset, TrainConfig
from model.data.coco import load_coco
from model.network.checkpoint import save_checkpoint
from model.network.matrix_nms import matrix_nms
from model.training.targets import assign, binary_mask_targets
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.inference.io_binding import BoundSession
from solo.inference.model_file import ModelFile
from solo.masks.rle import encode
from tests.support import random_inputs
from tests.support.coco_folder import disc_folder
from tests.support.small_network import small_config
from tests.support.tiny import lively, tiny_config

ROOT = Path(__file__).parents[2]


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


def test_a_graph_is_timed_in_bound_memory_and_without() -> None:
    file = ModelFile.read(ROOT / "model/zoo/cxr-lungs.onnx")
    session = open_session(file.path, 1)
    seen: list[int] = []

    def plain(images: Images) -> None:
        seen.append(len(images))
        session.run(list(OUTPUT_NAMES), {INPUT_NAME: images})

    speed = time_graph(BoundSession(session, file.manifest, "cpu"), plain, file, 2, repeats=2)
    assert set(seen) == {2}
    assert speed.plain > 0
    assert speed.throughput == pytest.approx(2 / speed.bound)
    alone = time_graph(BoundSession(session, file.manifest, "cpu"), None, file, 1, repeats=1)
    assert np.isnan(alone.plain)


def test_three_ways_to_encode_agree() -> None:
    letterbox, found = Letterbox.fit((1200, 1000), (256, 256)), lungs(4)
    ours = [{"size": (1200, 1000), "counts": one.compressed()} for one in encode(found, letterbox)]
    for way in (plain_masks, best_plain_masks):
        theirs = [{"size": (1200, 1000), "counts": counts} for counts in way(found, letterbox, 0.5)]
        overlap = coco_mask.iou(ours, theirs, [0] * len(theirs))
        assert overlap.diagonal().min() > 0.98
        assert overlap[0, 1] < 0.5  # one lung is not the other


def test_the_plain_way_finds_what_the_service_finds() -> None:
    session = open_session(ROOT / "model/zoo/cxr-lungs.onnx", 1)
    manifest = Manifest.from_metadata(session.get_modelmeta().custom_metadata_map)
    film = (ROOT / "examples/chest.dcm").read_bytes()
    plain = plain_answer(film, session, manifest)
    decoded = decode(film, Limits(10_000_000)).pixels
    letterbox = Letterbox.fit((decoded.shape[0], decoded.shape[1]), manifest.canvas_size)
    feeds = {INPUT_NAME: letterbox.apply(decoded)[None, None]}
    scores, labels, masks = session.run(list(OUTPUT_NAMES), feeds)
    found = Instances.from_outputs(scores[0], labels[0], masks[0]).select(0.0, 2)
    size = letterbox.image_size
    overlap = coco_mask.iou(
        [{"size": size, "counts": one.compressed()} for one in encode(found, letterbox)],
        [{"size": size, "counts": counts} for counts in plain],
        [0, 0],
    )
    assert overlap.diagonal().min() > 0.97
