"""Hold: a C-STORE is acknowledged when its result is in the archive's list, and else never."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.dicom_objects import MANUFACTURER
from solo.formats.dicom import modules
from tests.support.gateways import GatewayProcess, film, gateway, store, uid_of
from tests.support.stub_servers import (
    DICOM,
    Reply,
    StubArchive,
    StubService,
    minimal_seg,
    problem,
    result_uid,
    running,
    sample,
    stow_answer,
)

DONE, BUSY, FAILED = 0x0000, 0xA700, 0xC000
HANGS_UP: Reply = (0, {}, b"")
SAYS_NOTHING: Reply = (-1, {}, b"")
RESETS: Reply = (-2, {}, b"")


class Stage:
    """A service, an archive and a gateway between them."""

    def __init__(self, service: StubService, archive: StubArchive, process: GatewayProcess) -> None:
        self.service, self.archive, self.process = service, archive, process

    def send(self, data: bytes) -> int | None:
        return store(self.process.port, data)

    def count(self, outcome: str) -> float:
        text = self.process.metrics()
        return sample(text, "solo_gateway_films_total", outcome=outcome)


@pytest.fixture(scope="module")
def stage_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    service, archive = StubService(), StubArchive()
    output = tmp_path_factory.mktemp("gateway") / "log"
    with (
        running(service) as service_url,
        running(archive) as archive_url,
        gateway(
            output, service_url=service_url, dicomweb_url=archive_url, hold_seconds=2, max_films=2
        ) as process,
    ):
        yield Stage(service, archive, process)


@pytest.fixture
def stage(stage_of_module: Stage) -> Iterator[Stage]:
    yield stage_of_module
    stage_of_module.service.answer = StubService.answer
    stage_of_module.archive.answer = None


def test_a_film_is_answered_after_its_result_is_stored(stage: Stage) -> None:
    data = film()
    assert stage.send(data) == DONE
    assert result_uid(uid_of(data)) in stage.archive.stored


def test_the_service_gets_the_film_as_it_was_sent(stage: Stage) -> None:
    got: list[bytes] = []
    stage.service.answer = lambda data: got.append(data) or (200, DICOM, minimal_seg(data))  # type: ignore[func-returns-value]
    data = film(size=31)
    assert stage.send(data) == DONE
    pixels = data[-31 * 31 * 2 :]
    assert got[0][128:132] == b"DICM"
    assert got[0].endswith(pixels)


def test_a_film_without_findings_is_acknowledged_and_counted(stage: Stage) -> None:
    stage.service.answer = lambda _: problem(422, "nothing-found")
    before = stage.count("empty")
    assert stage.send(film()) == DONE
    assert stage.count("empty") == before + 1


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_film_that_is_refused_is_not_to_be_sent_again(stage: Stage, status: int) -> None:
    stage.service.answer = lambda _: problem(status, "not-segmentable")
    before = stage.count("refused")
    assert stage.send(film()) == FAILED
    assert stage.count("refused") == before + 1


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (problem(429, "queue-full", **{"Retry-After": "1"}), BUSY),
        (problem(503, "unavailable", **{"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), BUSY),
        (problem(401, "unauthorized"), BUSY),
        (problem(504, "deadline"), BUSY),
        ((301, {"Location": "http://127.0.0.1:1/"}, b""), BUSY),
        (HANGS_UP, BUSY),
        (SAYS_NOTHING, BUSY),
        (problem(500, "internal"), FAILED),
        ((200, DICOM, b"no DICOM at all"), FAILED),
        ((200, {"Content-Type": "text/html"}, b"<html>"), FAILED),
        ((200, {"Content-Type": "multipart/related; boundary=x"}, b"--x--"), FAILED),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else None,
)
def test_a_service_that_fails(stage: Stage, reply: Reply, status: int) -> None:
    stage.service.answer = lambda _: reply
    begun = time.monotonic()
    assert stage.send(film()) == status
    assert time.monotonic() - begun < 4
    stage.service.answer = StubService.answer
    deadline = time.monotonic() + 35  # a film that hangs keeps its place until its time is over
    while (again := stage.send(film())) != DONE and time.monotonic() < deadline:
        time.sleep(0.2)
    assert again == DONE


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda uid: stow_answer(200), FAILED),
        (lambda uid: stow_answer(200, "1.2.3"), FAILED),
        (lambda uid: stow_answer(200, f"{uid}0"), FAILED),
        (lambda uid: stow_answer(202, failed=(uid,)), FAILED),
        (lambda uid: stow_answer(200, uid, failed=(uid,)), FAILED),
        (lambda uid: (200, {}, b"{"), FAILED),
        (lambda uid: (200, {}, b"[" * 100_000), FAILED),
        (lambda uid: (200, {}, b'{"00081199": 1}'), FAILED),
        (lambda uid: (200, {}, b'{"00081199": {"Value": [1]}}'), FAILED),
        (lambda uid: (200, {}, b" " * 3_000_000), BUSY),
        (lambda uid: stow_answer(409), FAILED),
        (lambda uid: stow_answer(503), BUSY),
        (lambda uid: stow_answer(401), BUSY),
        (lambda uid: HANGS_UP, BUSY),
        (lambda uid: RESETS, BUSY),
        (lambda uid: SAYS_NOTHING, BUSY),
        (lambda uid: stow_answer(400, uid), DONE),
        (lambda uid: stow_answer(202, "1.2.3", uid), DONE),
    ],
)
def test_an_archive_that_lies(stage: Stage, answer: object, status: int) -> None:
    stage.archive.answer = answer  # type: ignore[assignment]
    assert stage.send(film()) == status


def test_an_own_object_that_comes_back_is_not_segmented(stage: Stage) -> None:
    films, before = stage.service.films, stage.count("own")
    assert stage.send(film(Manufacturer="SOLO X-ray")) == DONE
    assert stage.service.films == films
    assert stage.count("own") == before + 1


def test_a_film_that_comes_twice_has_one_result(stage: Stage) -> None:
    data = film()
    before = len(stage.archive.stored)
    assert [stage.send(data), stage.send(data)] == [DONE, DONE]
    assert len(stage.archive.stored) == before + 1


def test_more_films_than_places_are_told_to_come_again(stage: Stage) -> None:
    def slowly(data: bytes) -> Reply:
        time.sleep(0.5)
        return 200, DICOM, minimal_seg(data)

    stage.service.answer = slowly
    with ThreadPoolExecutor(6) as pool:
        answers = [*pool.map(stage.send, [film() for _ in range(6)])]
    assert sorted(answers, key=str) == [DONE, DONE, *[BUSY] * 4]


def test_nothing_of_the_patient_is_logged_or_counted(stage: Stage) -> None:
    data = film()
    stage.send(data)
    stage.service.answer = lambda _: (200, DICOM, b"Planted^Name")
    stage.send(film())
    written = stage.process.output.read_text() + stage.process.metrics()
    assert "outcome" in written
    for planted in ("Planted", "PLANTED", uid_of(data), result_uid(uid_of(data))):
        assert planted not in written


def test_a_film_in_work_is_answered_before_the_end(tmp_path: Path) -> None:
    def slowly(data: bytes) -> Reply:
        time.sleep(1)
        return 200, DICOM, minimal_seg(data)

    service, archive = StubService(answer=slowly), StubArchive()
    with (
        running(service) as url,
        running(archive) as archive_url,
        gateway(tmp_path / "log", service_url=url, dicomweb_url=archive_url) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        sent = pool.submit(store, process.port, film())
        while not service.films:
            time.sleep(0.02)
        process.terminate()
        assert process.wait(10) == 0
        assert sent.result() == DONE
        assert len(archive.stored) == 1


def test_a_model_that_lost_its_codes_is_no_films_fault(stage: Stage) -> None:
    stage.service.answer = lambda _: problem(422, "no-codes")
    assert stage.send(film()) == BUSY


def test_a_film_of_ours_is_known_by_what_the_writer_says() -> None:
    assert MANUFACTURER == modules.MANUFACTURER
