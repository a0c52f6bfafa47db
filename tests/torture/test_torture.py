"""The short form of `make torture`: what the good client gets, and never how soon.

A twentieth of the connections, a tiny model, and as few films as show that it is answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvloop

from benchmarks.service_process import ServiceProcess, serving
from tests.support.engines import manifest, write_tiny_model
from tests.support.films import chest, png
from tests.torture.attack import Attack
from tests.torture.attacks import ATTACKS
from tests.torture.besieger import Besieger
from tests.torture.distinct import compare
from tests.torture.good_client import GoodClient
from tests.torture.scenario import Extent, besiege, service_for
from tests.torture.siege import Siege

pytestmark = pytest.mark.long
EXTENT = Extent(requests=10, alone=3, seconds=20.0, share=0.05, settle_seconds=0.15)
SHORT = [attack for attack in ATTACKS.values() if not attack.long]
SHARED = [attack for attack in SHORT if not attack.has_own_service]
OWN = [attack for attack in SHORT if attack.has_own_service]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", manifest())


@pytest.fixture(scope="module")
def besieger() -> Iterator[Besieger]:
    with Besieger() as running:
        yield running


@pytest.fixture(scope="module")
def service(tiny: Path) -> Iterator[ServiceProcess]:
    with serving(tiny) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def good() -> GoodClient:
    film = chest(300, 200)
    return GoodClient([png(film), png(film[:200]), png((film >> 4).astype(np.uint8)[:, :150])])


@pytest.mark.parametrize("attack", SHARED, ids=lambda attack: attack.name)
def test_a_good_client_is_answered_during(
    attack: Attack, service: ServiceProcess, tiny: Path, besieger: Besieger, good: GoodClient
) -> None:
    row = uvloop.run(besiege(service, tiny, attack, besieger, good, EXTENT))
    assert row.missed(timed=False) == []


@pytest.mark.parametrize("attack", OWN, ids=lambda attack: attack.name)
def test_a_good_client_is_answered_by_a_service_during(
    attack: Attack, tiny: Path, besieger: Besieger, good: GoodClient
) -> None:
    with service_for(attack, model=tiny) as (running, model):
        row = uvloop.run(besiege(running, model, attack, besieger, good, EXTENT))
    assert row.missed(timed=False) == []


def test_distinct_films_have_their_own_answers(service: ServiceProcess, tiny: Path) -> None:
    siege = Siege(service.port, service.process.pid, tiny)
    tally = uvloop.run(compare(siege, films=40, clients=16))
    assert (tally.foreign, tally.different) == (0, 0)
