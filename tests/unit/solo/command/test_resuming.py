"""A second run goes on where the first one stopped, however it was stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from solo.command.journal import Journal, JournalError
from tests.support.films import flat, png
from tests.support.planted_worker import HANG

Command = Callable[..., int]
Document = Callable[[Path], Any]
Errors = pytest.CaptureFixture[str]

HEAD = {"model": {"name": "tiny"}, "options": {"score_threshold": None}}


def write_films(folder: Path, count: int) -> None:
    folder.mkdir()
    for index in range(count):
        (folder / f"{index}.png").write_bytes(png(flat(20 * index)))


def start(films: Path, out: Path, model: Path) -> subprocess.Popen[str]:
    words = [str(films), "--out", str(out), "--model", str(model), "--cores", "1"]
    command = [sys.executable, "-m", "tests.support.planted_command", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for_lines(path: Path, count: int) -> None:
    deadline = time.monotonic() + 20
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_goes_on(
    by: signal.Signals, command: Command, tiny_model: Path, tmp_path: Path, capsys: Errors
) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    write_films(films, 7)
    (films / "7.png").write_bytes(HANG)
    with start(films, out, tiny_model) as first:
        wait_for_lines(out / "journal.jsonl", 5)
        first.send_signal(by)
        told = first.communicate(timeout=20)[1]
    assert first.returncode == (-9 if by == signal.SIGKILL else 130)
    assert by == signal.SIGKILL or "the same command goes on from here" in told
    assert not (out / "annotations.json").exists()
    with (out / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"stamp":[12,')
    (films / "7.png").write_bytes(png(flat(140)))
    assert command(films, "--out", out) == 0
    assert "done before" in capsys.readouterr().err
    assert command(films, "--out", tmp_path / "unbroken") == 0
    assert "8 segmented, 0 refused" in capsys.readouterr().err
    documents = [path / "annotations.json" for path in (out, tmp_path / "unbroken")]
    assert documents[0].read_bytes() == documents[1].read_bytes()


def test_only_new_and_changed_films_are_segmented(
    command: Command, document: Document, tmp_path: Path, capsys: Errors
) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    write_films(films, 3)
    assert command(films, "--out", out) == 0
    before = document(out)
    assert command(films, "--out", out) == 0
    assert document(out) == before
    (films / "1.png").write_bytes(png(flat(250)))
    os.utime(films / "1.png", (1, 1))
    (films / "2.png").unlink()
    (films / "9.png").write_bytes(png(flat(9)))
    capsys.readouterr()
    assert command(films, "--out", out) == 0
    assert capsys.readouterr().err.startswith("2 segmented, 1 done before, 0 refused")
    names = [Path(image["file_name"]).name for image in document(out)["images"]]
    assert names == ["0.png", "1.png", "9.png"]
    changed = [each for each in document(out)["annotations"] if each["image_id"] == 2]
    assert changed[0]["score"] == pytest.approx(0.5 + 0.5 * 250 / 255, abs=1e-4)


def test_films_that_an_older_version_segmented_are_segmented_again(
    command: Command, document: Document, tmp_path: Path, capsys: Errors
) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    write_films(films, 2)
    assert command(films, "--out", out) == 0
    fresh = document(out)
    assert fresh["annotations"]
    journal = out / "journal.jsonl"
    head, *lines = map(json.loads, journal.read_text().splitlines())
    for one in lines[0]["annotations"]:
        del one["outline_uncertainty"]
    journal.write_text("".join(json.dumps(line) + "\n" for line in (head, *lines)))
    capsys.readouterr()
    assert command(films, "--out", out) == 0
    assert "1 segmented, 1 done before" in capsys.readouterr().err
    assert document(out) == fresh


def test_refused_films_are_tried_again(
    command: Command, document: Document, tmp_path: Path
) -> None:
    film, out = tmp_path / "a.png", tmp_path / "out"
    film.write_bytes(png(flat(9))[:60])
    assert command(film, "--out", out) == 1
    assert document(out)["images"] == []
    film.write_bytes(png(flat(9)))
    assert command(film, "--out", out) == 0
    film.write_bytes(png(flat(9))[:60])  # what it was is not said of it any more
    assert command(film, "--out", out) == 1
    assert document(out)["images"] == []


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "journal.jsonl", HEAD),
        pytest.raises(JournalError, match="another run"),
    ):
        Journal(tmp_path / "journal.jsonl", HEAD)


def test_a_journal_with_a_torn_head_is_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"journal": 1, "mod')
    with Journal(path, HEAD) as journal:
        assert journal.current() == []
    assert path.read_bytes().startswith(b'{"journal":1,')


@pytest.mark.parametrize("text", [b"dear diary\n", b"dear diary", b"{}", b'{"journals": [1, 2'])
def test_a_file_of_somebody_else_is_left_alone(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(text)
    with pytest.raises(JournalError, match="no journal of this command"):
        Journal(path, HEAD)
    assert path.read_bytes() == text
