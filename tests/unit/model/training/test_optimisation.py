"""The papers' recipes, precision, and what a run writes."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tensorboardX.proto.event_pb2 import Event
from torch import Tensor

from model.configuration.recipe import TrainConfig
from model.data.coco import load_coco
from model.data.objects import Objects
from model.network.heads import HeadOutputs
from model.network.solov2_head import SOLOv2Outputs
from model.training.criterion import Criterion
from model.training.mixed_precision import in_float32
from model.training.optimisation import build_optimizer, learning_rate_factor
from model.training.recipes import paper_recipe
from model.training.tensorboard import RunLog
from model.training.trainer import Trainer
from tests.support.coco_folder import disc_folder
from tests.support.tiny import seeded, tiny_config, tiny_preset


def test_the_papers_schedule_on_coco() -> None:
    recipe = paper_recipe("1x", films=117_266, batch_size=16)
    assert recipe.iterations == 87_950  # the "90k" of the papers
    assert (recipe.learning_rate, recipe.weight_decay, recipe.clip_norm) == (0.01, 1e-4, 35)
    half_way = [(2 * each + 1) * 87_950 // 24 for each in range(12)]  # through each pass
    rates = [0.01 * learning_rate_factor(step, recipe) for step in half_way]
    assert rates == pytest.approx([0.01] * 9 + [0.001] * 2 + [0.0001])


def test_rate_and_length_follow_the_batch_and_a_short_run_warms_up_shortly() -> None:
    recipe = paper_recipe("3x", films=90, batch_size=4)
    assert recipe.iterations == math.ceil(36 * 90 / 4)
    assert recipe.learning_rate == recipe.backbone_learning_rate == pytest.approx(0.0025)
    factors = [learning_rate_factor(step, recipe) for step in range(recipe.iterations)]
    assert factors.index(1) == recipe.iterations // 10 - 1
    assert factors[-1] == pytest.approx(0.01)


def test_sgd_has_momentum_and_no_decay_on_norms() -> None:
    network = seeded(tiny_config())
    recipe = TrainConfig(10, optimizer="sgd", weight_decay=1e-4)
    optimizer = build_optimizer(network, recipe)
    assert isinstance(optimizer, torch.optim.SGD)
    for group in optimizer.param_groups:
        assert group["momentum"] == 0.9
        ranks = {parameter.ndim > 1 for parameter in group["params"]}
        assert ranks == {group["weight_decay"] > 0}


def test_every_tensor_of_an_output_becomes_float32() -> None:
    half = torch.ones(2, dtype=torch.bfloat16)
    found = in_float32(SOLOv2Outputs([half], [half, half], half))
    assert isinstance(found, SOLOv2Outputs)
    assert {t.dtype for t in [*found.category_logits, *found.kernels, found.mask_features]} == {
        torch.float32
    }
    assert in_float32(torch.tensor([1])).dtype == torch.int64


class Looking(Criterion):
    """Notes the type of what it gets."""

    seen: torch.dtype | None = None

    def __call__(self, outputs: HeadOutputs, batch: list[Objects]) -> dict[str, Tensor]:
        assert isinstance(outputs, SOLOv2Outputs)
        self.seen = outputs.mask_features.dtype
        self.largest = float(outputs.mask_features.detach().abs().max())
        return super().__call__(outputs, batch)


def test_a_network_of_bfloat16_has_losses_of_float32(tmp_path: Path) -> None:
    data = load_coco(disc_folder(tmp_path / "discs", 2))
    losses = {}
    for precision in ("float32", "bfloat16"):
        preset = tiny_preset(1, precision=precision)
        trainer = Trainer(seeded(preset.model), preset, data, seed=0)
        trainer.criterion = Looking(preset.model)
        images, objects = next(trainer._batches())
        losses[precision] = trainer._train_step(images, objects)
        assert trainer.criterion.seen == torch.float32
        assert all(p.dtype == torch.float32 for p in trainer.network.parameters())
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"]["mask"] == pytest.approx(losses["float32"]["mask"], rel=0.05)


def test_frozen_statistics_stay(tmp_path: Path) -> None:
    data = load_coco(disc_folder(tmp_path / "discs", 2))
    preset = tiny_preset(1, frozen_batch_norm=True)
    trainer = Trainer(seeded(preset.model), preset, data, seed=0)
    trainer.run(tmp_path / "checkpoint.pt")
    state = trainer.network.state_dict()
    assert not state["backbone._bn0.running_mean"].any()
    heads = [key for key in state if key.startswith("head") and key.endswith("running_mean")]
    assert any(state[key].any() for key in heads)  # those of the head learn


def events_in(folder: Path) -> list[Event]:
    """The records of TensorBoard's files: length, its checksum, the event, its checksum."""
    events = []
    for path in sorted(folder.iterdir()):
        data, offset = path.read_bytes(), 0
        while offset < len(data):
            length = struct.unpack_from("<Q", data, offset)[0]
            events.append(Event.FromString(data[offset + 12 : offset + 12 + length]))
            offset += 12 + length + 4
    return events


def test_a_run_writes_curves_and_pictures_for_tensorboard(tmp_path: Path) -> None:
    data = load_coco(disc_folder(tmp_path / "discs", 2))
    preset = tiny_preset(2)
    trainer = Trainer(seeded(preset.model), preset, data, seed=0)
    log = RunLog(tmp_path / "tensorboard", scalars_every=1, pictures_every=2)
    trainer.run(tmp_path / "checkpoint.pt", log=log)
    log.close()
    values = [
        (event.step, v)
        for event in events_in(tmp_path / "tensorboard")
        for v in event.summary.value
    ]
    curves = {(step, value.tag) for step, value in values if value.HasField("simple_value")}
    names = {"category", "mask", "gradient_norm", "rate"}
    assert curves == {(step, name) for step in (1, 2) for name in names}
    pictures = [(step, value.image) for step, value in values if value.HasField("image")]
    assert [step for step, _ in pictures] == [0]
    png = np.frombuffer(pictures[0][1].encoded_image_string, np.uint8)
    drawn = cv2.imdecode(png, cv2.IMREAD_COLOR)
    assert drawn is not None
    assert drawn.shape == (64, 2 * 64, 3)
    assert (drawn == (80, 220, 80)).all(-1).any()  # a disc's outline


def test_a_run_that_starts_anew_hides_the_curve_of_one_without_a_checkpoint(tmp_path: Path) -> None:
    RunLog(tmp_path / "tensorboard").close()
    starts = [e.step for e in events_in(tmp_path / "tensorboard") if e.HasField("session_log")]
    assert starts == [0]  # TensorBoard purges what came before from this step on
