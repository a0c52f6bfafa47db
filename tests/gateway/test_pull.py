"""Pull: the cursor moves over what is done, in its order, and never over what is not."""

from __future__ import annotations

import threading
from collections.abc import Sequence
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
from gateway.outcomes import FaultyFilmError, Outcome, StartError, TryLaterError
from gateway.pull import Puller
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


def pulled(tmp_path: Path, feed: ListFeed, work: Work) -> Metrics:
    """Runs until the cursor is at the end."""
    metrics = Metrics()
    cursor = Cursor(tmp_path / "cursor")
    cursor.write("0")
    puller = Puller(feed, cursor, cast(FilmWork, work), metrics, 3, 3, 0.01)
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
    passed = metrics.registry.get_sample_value(
        "solo_gateway_films_total", {"outcome": Outcome.PASSED}
    )
    assert passed == 1


def test_the_cursor_stands_while_a_film_waits(tmp_path: Path) -> None:
    work = Work({b"2": [TryLaterError("archive-away") for _ in range(10**6)]})
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
