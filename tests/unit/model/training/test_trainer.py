"""The training loop: it learns, it goes on where it stopped, it stops where it must."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.configuration.network import ModelConfig
from model.configuration.recipe import Preset, TrainConfig
from model.data.coco import CocoDataset, load_coco
from model.data.objects import Objects
from model.network.checkpoint import load_checkpoint
from model.network.heads import HeadOutputs
from model.network.solo_network import SoloNetwork
from model.training.averaging import decay_at
from model.training.criterion import Criterion
from model.training.optimisation import learning_rate_factor
from model.training.step import NonFiniteLossError
from model.training.trainer import Trainer
from model.training.validation import Verdict
from tests.support.coco_folder import disc_folder
from tests.support.tiny import seeded, tiny_config, tiny_preset

Losses = dict[str, Tensor]


class Watched(Criterion):
    """The criterion, with what it said, and a word in it.

    Args:
        config: the network's.
        say: called with the step and the losses, whose answer is taken instead.
    """

    def __init__(self, config: ModelConfig, say: Callable[[int, Losses], Losses]) -> None:
        super().__init__(config)
        self.say = say
        self.totals: list[float] = []

    def __call__(self, outputs: HeadOutputs, batch: list[Objects]) -> Losses:
        losses = super().__call__(outputs, batch)
        self.totals.append(float(sum(loss.detach() for loss in losses.values())))
        return self.say(len(self.totals) - 1, losses)


class Interrupted(Exception):  # noqa: N818  not an error
    pass


def watch(trainer: Trainer, say: Callable[[int, Losses], Losses] = lambda _, x: x) -> Watched:
    trainer.criterion = Watched(trainer.preset.model, say)
    return trainer.criterion


def state_of(module: torch.nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture
def discs(tmp_path: Path) -> CocoDataset:
    return load_coco(disc_folder(tmp_path / "discs", 3, empty=(2,)))


def test_one_film_is_learnt(tmp_path: Path) -> None:
    data = load_coco(disc_folder(tmp_path / "one", 1))
    preset = tiny_preset(30)
    trainer = Trainer(seeded(preset.model), preset, data, seed=0)
    watched = watch(trainer)
    trainer.run(tmp_path / "checkpoint.pt")
    assert len(watched.totals) == trainer.step == 30
    assert sum(watched.totals[-8:]) < 0.6 * sum(watched.totals[:8])


@pytest.mark.parametrize("stop_at", [2, 3])
def test_a_run_that_was_interrupted_ends_as_an_unbroken_one(
    stop_at: int, discs: CocoDataset, tmp_path: Path
) -> None:
    preset = tiny_preset(4)
    unbroken = Trainer(seeded(preset.model), preset, discs, seed=1)
    whole = watch(unbroken)
    unbroken.run(tmp_path / "unbroken.pt", save_every=1)

    def interrupt(step: int, losses: Losses) -> Losses:
        if step == stop_at:
            raise Interrupted
        return losses

    first = Trainer(seeded(preset.model), preset, discs, seed=1)
    watch(first, interrupt)
    with pytest.raises(Interrupted):
        first.run(tmp_path / "broken.pt", save_every=2)
    assert load_checkpoint(tmp_path / "broken.pt")[1]["step"] == 2

    second = Trainer(seeded(preset.model, seed=9), preset, discs, seed=1)
    second.resume(tmp_path / "broken.pt")
    assert second.step == 2
    rest = watch(second)
    second.run(tmp_path / "broken.pt")
    assert second.step == 4
    assert rest.totals == whole.totals[2:]  # to the bit
    assert equal(state_of(second.network), state_of(unbroken.network))
    assert equal(state_of(second.average), state_of(unbroken.average))
    one, other = (load_checkpoint(tmp_path / f"{name}.pt")[1] for name in ("broken", "unbroken"))
    assert equal(one["weights"], other["weights"])
    assert one["optimizer"]["param_groups"] == other["optimizer"]["param_groups"]


def test_a_finished_run_is_resumed_without_a_step(discs: CocoDataset, tmp_path: Path) -> None:
    preset = tiny_preset(1)
    trainer = Trainer(seeded(preset.model), preset, discs, seed=0)
    trainer.run(tmp_path / "checkpoint.pt")
    again = Trainer(seeded(preset.model, seed=5), preset, discs, seed=0)
    again.resume(tmp_path / "checkpoint.pt")
    again.run(tmp_path / "checkpoint.pt")
    assert again.step == 1
    assert equal(state_of(again.averaged), state_of(trainer.averaged))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_weights_change(
    bad: float, discs: CocoDataset, tmp_path: Path
) -> None:
    preset = tiny_preset(4)
    trainer = Trainer(seeded(preset.model), preset, discs, seed=0)
    before: list[dict[str, Tensor]] = []

    def spoil(step: int, losses: Losses) -> Losses:
        if step < 2:
            return losses
        before.append({key: p.detach().clone() for key, p in trainer.network.named_parameters()})
        before.append(state_of(trainer.average))
        return {**losses, "mask": losses["mask"] * bad}

    watch(trainer, spoil)
    with pytest.raises(NonFiniteLossError, match=r"not finite at step 2: .*'mask': (nan|inf)") as e:
        trainer.run(tmp_path / "checkpoint.pt", save_every=1)
    # Samples 4 and 5 are the second and third of the second round through three films.
    second_round = {trainer.stream.film(index).image_id for index in range(3, 6)}
    named = {int(key) for key in str(e.value).split("the batch has the images ")[1].split(", ")}
    assert second_round == {10, 11, 12}
    assert named == second_round - {trainer.stream.film(3).image_id}
    assert trainer.step == 2
    assert equal(dict(trainer.network.named_parameters()), before[0])
    assert equal(state_of(trainer.average), before[1])
    assert load_checkpoint(tmp_path / "checkpoint.pt")[1]["step"] == 2


def test_films_without_objects_train(tmp_path: Path) -> None:
    data = load_coco(disc_folder(tmp_path / "none", 2, empty=(0, 1)))
    preset = tiny_preset(2)
    trainer = Trainer(seeded(preset.model), preset, data, seed=0)
    before = state_of(trainer.network)
    masks = []

    def look(_: int, losses: Losses) -> Losses:
        masks.append(float(losses["mask"].detach()))
        return losses

    watch(trainer, look)
    trainer.run(tmp_path / "checkpoint.pt")
    assert masks == [0, 0]
    after = state_of(trainer.network)
    assert all(torch.isfinite(value).all() for value in after.values())
    assert not torch.equal(after["head.category.weight"], before["head.category.weight"])


def test_the_average_rises_from_the_last_weights_to_its_decay(
    discs: CocoDataset, tmp_path: Path
) -> None:
    preset = tiny_preset(4, ema_decay=0.75)
    trainer = Trainer(seeded(preset.model), preset, discs, seed=0)
    seen: list[dict[str, Tensor]] = []

    def look(step: int, losses: Losses) -> Losses:
        if step:
            seen.append({key: p.detach().clone() for key, p in trainer.network.named_parameters()})
        return losses

    watch(trainer, look)
    trainer.run(tmp_path / "checkpoint.pt")
    seen.append({key: p.detach().clone() for key, p in trainer.network.named_parameters()})
    assert len(seen) == 4
    averaged = dict(trainer.averaged.named_parameters())
    for key in seen[0]:
        # The decays before the 2nd, 3rd and 4th weights are (1 + t) / (10 + t): 2/11, 3/12, 4/13.
        shares = (2 / 11 * 3 / 12 * 4 / 13, 9 / 11 * 3 / 12 * 4 / 13, 9 / 12 * 4 / 13, 9 / 13)
        expected = sum(share * step[key] for share, step in zip(shares, seen, strict=True))
        torch.testing.assert_close(averaged[key].detach(), expected, rtol=1e-5, atol=1e-7)


def test_the_decay_of_a_long_run_is_the_recipes() -> None:
    assert decay_at(150, 0.998) == pytest.approx(151 / 160)
    assert decay_at(880, 0.99) < 0.99
    assert [decay_at(step, 0.99) for step in (900, 10**6)] == [0.99, 0.99]


def test_running_statistics_are_averaged_too(discs: CocoDataset, tmp_path: Path) -> None:
    preset = tiny_preset(3, ema_decay=0.5)
    trainer = Trainer(seeded(preset.model), preset, discs, seed=0)
    trainer.run(tmp_path / "checkpoint.pt")
    key = "backbone._bn0.running_mean"
    own, averaged = state_of(trainer.network)[key], state_of(trainer.averaged)[key]
    assert averaged.abs().max() > 0
    assert not torch.equal(own, averaged)


def test_rates_are_those_of_the_recipe(discs: CocoDataset, tmp_path: Path) -> None:
    preset = tiny_preset(2, learning_rate=3e-3, backbone_learning_rate=5e-4, weight_decay=0.1)
    trainer = Trainer(seeded(preset.model), preset, discs, seed=0)
    trainer.run(tmp_path / "checkpoint.pt")
    rates: dict[int, tuple[float, float]] = {}
    for group in trainer.optimizer.param_groups:
        for parameter in group["params"]:
            assert id(parameter) not in rates
            rates[id(parameter)] = group["lr"], group["weight_decay"]
    factor = learning_rate_factor(1, preset.train)
    for name, parameter in trainer.network.named_parameters():
        rate, decay = rates.pop(id(parameter))
        peak = 5e-4 if name.startswith("backbone.") else 3e-3
        assert rate == pytest.approx(peak * factor)
        plain = name.endswith(".bias") or "norm" in name or "bn" in name
        assert decay == (0 if plain else 0.1)
    assert not rates


def test_gradients_are_clipped(discs: CocoDataset, tmp_path: Path) -> None:
    preset = tiny_preset(1, clip_norm=0.5)
    trainer = Trainer(seeded(preset.model), preset, discs, seed=0)
    watch(trainer, lambda _, losses: {key: loss * 1e4 for key, loss in losses.items()})
    trainer.run(tmp_path / "checkpoint.pt")
    gradients = [p.grad for p in trainer.network.parameters() if p.grad is not None]
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    assert float(norm) == pytest.approx(0.5, rel=1e-3)


def test_the_rate_rises_in_a_line_and_falls_in_a_cosine() -> None:
    recipe = TrainConfig(iterations=1100, warmup_iterations=100)
    factors = [learning_rate_factor(step, recipe) for step in range(1100)]
    assert factors[:100] == pytest.approx([(step + 1) / 100 for step in range(100)])
    assert factors[100] == 1
    assert factors[600] == pytest.approx(0.505)  # half-way down: the mean of 1 and 0.01
    assert factors[350] == pytest.approx(0.01 + 0.99 * (2 + math.sqrt(2)) / 4)
    assert all(later < earlier for earlier, later in pairwise(factors[100:]))
    assert factors[-1] == pytest.approx(0.01, abs=1e-4)


@pytest.mark.parametrize("iterations", [1, 2, 9, 10, 50, 999])
def test_a_short_run_warms_up_for_a_tenth_of_its_length(iterations: int) -> None:
    recipe = TrainConfig(iterations=iterations, warmup_iterations=100)
    factors = [learning_rate_factor(step, recipe) for step in range(iterations)]
    assert max(factors) == pytest.approx(1)
    assert factors.index(max(factors)) <= max(1, iterations // 10)
    assert all(0 < factor <= 1 for factor in factors)


def test_parts_of_a_batch_add_up_to_its_gradient(tmp_path: Path) -> None:
    """One film has no object, so that the parts' positives differ; norms do not see the batch."""
    data = load_coco(disc_folder(tmp_path / "four", 4, empty=(1,)))
    wide = {"fpn_channels": 32, "head_channels": 32, "mask_branch_channels": 32}
    config = tiny_config(norm="group", mask_channels=32, **wide)
    gradients, losses = [], []
    for parts in (1, 2, 4):
        train = TrainConfig(1, batch_size=4, accumulate=parts, frozen_batch_norm=True)
        trainer = Trainer(seeded(config), Preset(config, train), data, seed=0)
        images, objects = next(trainer._batches())
        values = trainer._train_step(images, objects)
        losses.append((values["category"], values["mask"], values["gradient_norm"]))
        gradients.append([p.grad for p in trainer.network.parameters() if p.grad is not None])
    for other, found in zip(losses[1:], gradients[1:], strict=True):
        assert other == pytest.approx(losses[0], rel=1e-4)
        for one, two in zip(gradients[0], found, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


def test_a_frozen_backbone_stays_and_the_rest_learns(discs: CocoDataset, tmp_path: Path) -> None:
    preset = tiny_preset(2, frozen_backbone=True)
    trainer = Trainer(seeded(preset.model), preset, discs, seed=0)
    before = state_of(trainer.network)
    trainer.run(tmp_path / "checkpoint.pt")
    after = state_of(trainer.network)
    same = {key for key in before if torch.equal(before[key], after[key])}
    assert {key for key in before if key.startswith("backbone.")} <= same
    assert "head.category.weight" not in same


class Verdicts:
    """A validation that finds what it is told to find."""

    every = 1

    def __init__(self, *found: tuple[bool, bool]) -> None:
        self.found = [*found]
        self.seen: list[tuple[int, float]] = []
        self.finished = 0

    def after(
        self, step: int, passes: float, values: dict[str, float], network: SoloNetwork
    ) -> Verdict:
        assert not network.training
        assert values.keys() >= {"category", "mask", "rate"}
        self.seen.append((step, passes))
        return Verdict(*self.found[len(self.seen) - 1])

    def state(self) -> dict[str, object]:
        return {"seen": self.seen}

    def restore(self, state: dict[str, object]) -> None:
        self.seen = [*state["seen"]]  # type: ignore[misc]  # as it was

    def finish(self, network: SoloNetwork) -> None:
        self.finished += 1


def test_the_best_network_is_kept_and_a_validation_stops_the_run(
    discs: CocoDataset, tmp_path: Path
) -> None:
    preset = tiny_preset(9)
    trainer = Trainer(seeded(preset.model), preset, discs, seed=0)
    verdicts = Verdicts((True, False), (False, False), (False, True))
    trainer.run(tmp_path / "checkpoint.pt", validation=verdicts)
    assert verdicts.seen == [(1, pytest.approx(2 / 3)), (2, pytest.approx(4 / 3)), (3, 2)]
    assert verdicts.finished == 1
    _, best = load_checkpoint(tmp_path / "best.pt")
    assert best.keys() == {"weights", "trained_films"}
    last = load_checkpoint(tmp_path / "checkpoint.pt")[1]
    assert last["step"] == 3
    assert not equal(best["weights"], last["weights"])

    again = Trainer(seeded(preset.model), preset, discs, seed=0)
    rest = Verdicts()
    again.resume(tmp_path / "checkpoint.pt", rest)
    again.run(tmp_path / "checkpoint.pt", validation=rest)
    assert again.step == 3  # it had stopped
    assert rest.seen == verdicts.seen
