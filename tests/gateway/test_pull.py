"""Pull: the cursor moves over what is done, in its order, and never over what is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import cast

import pytest

from gateway import pull
from gateway.changes_feed import ChangesFeed
from gateway.cursor import Cursor
from gateway.feed import Entry
from gateway.film_work import FilmWork
from gateway.http import Peer
from gateway.metrics import Metrics
from gateway.outcomes import FaultyFilmError, Outcome, SlowFilmError, StartError, TryLaterError
from gateway.pull import Puller
from gateway.qido_feed import QidoFeed
from tests.support.stub_servers import Reply, StubService, running


class ListFeed:
    """Films with numbers; the cursor is the number of the last one that is done."""

    def __init__(self, films: int) -> None:
        self.films, self.undone = films, 0

    def first(self) -> str:
        return "0"

    def read(self, cursor: str) -> Sequence[Entry]:
        numbers = range(int(cursor) + 1, self.films + 1)
        return [Entry(str(n), str(n), str(n)) for n in numbers][:4]

    def fetch(self, place: str, deadline: float) -> bytes | None:
        return place.encode()

    def undo(self) -> None:
        self.undone += 1

    def lag(self) -> float:
        return 0.0


class Work:
    """Fails at some films so many times."""

    def __init__(self, failures: dict[bytes, list[Exception]]) -> None:
        self.failures, self.done = failures, [b""][:0]
        self._lock = threading.Lock()

    def do(self, film: bytes, deadline: float) -> Outcome:
        with self._lock:
            if self.failures.get(film):
                raise self.failures[film].pop()
            self.done.append(film)
        return Outcome.STORED


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "_LONGEST_PAUSE_SECONDS", 0.01)


def pulled(tmp_path: Path, feed: ListFeed, work: Work, tries: int = 3) -> Metrics:
    """Runs until the cursor is at the end."""
    metrics = Metrics()
    cursor = Cursor(tmp_path / "cursor")
    cursor.write("0")
    puller = Puller(feed, cursor, cast(FilmWork, work), metrics, 3, tries, 0.01)
    thread = threading.Thread(target=puller.run)
    thread.start()
    for _ in range(500):
        if cursor.read() == str(feed.films):
            break
        threading.Event().wait(0.01)
    puller.stop()
    thread.join(10)
    assert cursor.read() == str(feed.films)
    return metrics


def counted(metrics: Metrics, outcome: Outcome) -> float | None:
    return metrics.registry.get_sample_value("solo_gateway_films_total", {"outcome": outcome})


def test_each_film_is_done_once(tmp_path: Path) -> None:
    work = Work({})
    pulled(tmp_path, ListFeed(10), work)
    assert sorted(work.done) == sorted(str(n).encode() for n in range(1, 11))


def test_a_film_that_waits_is_done_later_and_the_others_not_again(tmp_path: Path) -> None:
    work = Work({b"2": [TryLaterError("service-busy") for _ in range(7)]})
    pulled(tmp_path, ListFeed(6), work)
    assert sorted(work.done) == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_a_poison_film_is_passed_after_its_tries(tmp_path: Path) -> None:
    work = Work({b"2": [FaultyFilmError("service-error") for _ in range(9)]})
    metrics = pulled(tmp_path, ListFeed(3), work)
    assert len(work.failures[b"2"]) == 9 - 3
    assert sorted(work.done) == [b"1", b"3"]
    assert counted(metrics, Outcome.PASSED) == 1


class FragileWork(Work):
    """A service that a film ends, and those beside it with it."""

    def __init__(self, poison: bytes) -> None:
        super().__init__({})
        self.poison = poison
        self._working: set[bytes] = set()
        self._lost: set[bytes] = set()

    def do(self, film: bytes, deadline: float) -> Outcome:
        with self._lock:
            self._working.add(film)
            if film == self.poison:
                self._lost |= self._working
        threading.Event().wait(0.02)
        with self._lock:
            self._working.discard(film)
            if film in self._lost:
                self._lost.discard(film)
                raise SlowFilmError("service-lost")
            self.done.append(film)
        return Outcome.STORED


@pytest.mark.parametrize("tries", [1, 3])
def test_a_film_that_ends_the_service_takes_no_other_along(tmp_path: Path, tries: int) -> None:
    work = FragileWork(b"2")
    metrics = pulled(tmp_path, ListFeed(6), work, tries)
    assert sorted(work.done) == [b"1", b"3", b"4", b"5", b"6"]
    assert counted(metrics, Outcome.PASSED) == 1


def test_questions_that_fail_are_counted(tmp_path: Path) -> None:
    class AwayFeed(ListFeed):
        def read(self, cursor: str) -> Sequence[Entry]:
            if self.undone < 3:
                raise TryLaterError("archive-status")
            return super().read(cursor)

    metrics = pulled(tmp_path, AwayFeed(2), Work({}))
    name, labels = "solo_gateway_failures_total", {"reason": "archive-status"}
    assert metrics.registry.get_sample_value(name, labels) == 3


def test_the_cursor_stands_while_a_film_waits(tmp_path: Path) -> None:
    work = Work({b"2": [TryLaterError("archive-away") for _ in range(1000)]})
    cursor = Cursor(tmp_path / "cursor")
    cursor.write("0")
    puller = Puller(ListFeed(5), cursor, cast(FilmWork, work), Metrics(), 3, 3, 0.01)
    thread = threading.Thread(target=puller.run)
    thread.start()
    threading.Event().wait(0.3)
    puller.stop()
    thread.join(10)
    assert cursor.read() == "1"


@pytest.mark.parametrize("content", ["", "\0", "a" * 100, "\xff"])
def test_a_file_that_is_no_cursor(tmp_path: Path, content: str) -> None:
    (tmp_path / "cursor").write_text(content, encoding="latin-1")
    if content == "\0":
        assert Cursor(tmp_path / "cursor").read() == "\0"  # the feed says that it is none
        return
    with pytest.raises(StartError):
        Cursor(tmp_path / "cursor").read()


def test_two_gateways_do_not_share_a_cursor(tmp_path: Path) -> None:
    first, second = (Cursor(tmp_path / "cursor") for _ in range(2))
    first.claim()
    with pytest.raises(StartError, match="another gateway"):
        second.claim()


def test_a_cursor_without_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="its folder"):
        Cursor(tmp_path / "none" / "cursor").claim()


def changes(cursor: str, *replies: Reply) -> Sequence[Entry]:
    stub = StubService()
    answers = list(replies)
    stub.reply = lambda method, path, body: answers.pop(0)  # type: ignore[method-assign]
    with running(stub) as url:
        return ChangesFeed(Peer("archive", url, 1), 1000).read(cursor)


def json(text: str) -> Reply:
    return 200, {"Content-Type": "application/json"}, text.encode()


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"Last": 3}',
        '{"Last": 3, "Changes": [{}]}',
        '{"Last": 3, "Changes": 1}',
        '{"Last": 3, "Changes": [{"Seq": null, "ID": "a", "ChangeType": "NewInstance"}]}',
        "[" * 100_000,
    ],
)
def test_an_archive_that_answers_something_else(text: str) -> None:
    with pytest.raises(TryLaterError):
        changes("1", json(text))


def test_an_archive_that_was_put_back_stops_the_gateway() -> None:
    empty = '{"Last": %d, "Changes": [], "Done": true}'
    with pytest.raises(StartError, match="another archive"):
        changes("9", json(empty % 5), json(empty % 5))


def test_a_change_leads_nowhere_but_to_instances() -> None:
    change = '{"Seq": %d, "ID": "%s", "ChangeType": "%s"}'
    rows = [(2, "ab-12", "NewInstance"), (3, "../system", "NewInstance"), (4, "ab", "NewStudy")]
    body = ", ".join(change % row for row in rows)
    entries = changes("1", json(f'{{"Last": 4, "Done": true, "Changes": [{body}]}}'))
    assert [one.place for one in entries] == ["/instances/ab-12", None, None]
    assert [one.after for one in entries] == ["2", "3", "4"]


DICOMWEB = {"Content-Type": "application/dicom+json"}
EMPTY_PARTS = {"Content-Type": "multipart/related; boundary=x"}
FILM_CLASS = "1.2.840.10008.5.1.4.1.1.1"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ((500, {}, b""), FaultyFilmError),
        ((400, {}, b""), FaultyFilmError),
        ((200, {}, bytes(9000)), FaultyFilmError),  # too large, and not for ever
        ((200, EMPTY_PARTS, b"--x--"), FaultyFilmError),
        ((401, {}, b""), TryLaterError),
        ((503, {}, b""), TryLaterError),
    ],
)
@pytest.mark.parametrize("feed_class", [ChangesFeed, QidoFeed])
def test_an_archive_that_cannot_give_a_film(
    feed_class: type[ChangesFeed | QidoFeed], reply: Reply, error: type[Exception]
) -> None:
    stub = StubService()
    kind: Reply = (200, {}, FILM_CLASS.encode())
    stub.reply = lambda method, path, body: kind if "metadata" in path else reply  # type: ignore[method-assign]
    with running(stub) as url:
        archive = Peer("archive", url, 1)
        feed = ChangesFeed(archive, 1000) if feed_class is ChangesFeed else QidoFeed(archive, 2, 99)
        if reply[1] and feed_class is ChangesFeed:
            return  # of one part is a matter of DICOMweb
        with pytest.raises(error):
            feed.fetch("/film", time.monotonic() + 5)


@pytest.mark.parametrize("page", [1, 7, 10**6])
@pytest.mark.parametrize("offsets", [True, False])
def test_an_archive_with_pages_of_its_own(page: int, offsets: bool) -> None:
    """Fewer than are asked for, or all at once whatever the offset is."""
    total = 12 if offsets else page if page < 12 else 12

    def reply(method: str, path: str, body: bytes) -> Reply:
        begin = int(path.partition("offset=")[2]) if offsets else 0
        tag = "00080018" if "/instances" in path else "0020000D"
        rows = [
            {
                "00080016": {"vr": "UI", "Value": [FILM_CLASS]},
                "0020000E": {"vr": "UI", "Value": ["1.3"]},
                tag: {"vr": "UI", "Value": [f"1.2.{n}"]},
            }
            for n in range(12 if "/instances" in path else 2)[begin : begin + page]
        ]
        return 200, DICOMWEB, dumps(rows).encode()

    stub = StubService()
    stub.reply = reply  # type: ignore[method-assign]
    with running(stub) as url:
        entries = QidoFeed(Peer("archive", url, 1), 2, 1000).read("2026-01-01")
    films = [one for one in entries if one.place is not None]
    studies = min(2, page) if not offsets else 2
    assert len(films) == total * studies
    assert len({one.place for one in films}) == len(films)
