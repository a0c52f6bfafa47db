"""Exit codes, what is no film, and films that are refused without an end to the run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from solo.command.main import main
from solo.events import Events
from solo.sandbox.pool import Sandbox
from tests.support.dicom import dicom_file
from tests.support.films import chest, flat, png
from tests.support.planted_worker import FAULT, HANG, SEGFAULT

Command = Callable[..., int]
Document = Callable[[Path], Any]
Errors = pytest.CaptureFixture[str]

FILM = png(flat(9))


def names_in(document: Any) -> list[str]:
    return [Path(image["file_name"]).name for image in document["images"]]


def test_bad_films_are_named_and_do_not_stop_the_others(
    command: Command, document: Document, tmp_path: Path, capsys: Errors
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    (films / "a.png").write_bytes(FILM)
    (films / "b.dcm").write_bytes(dicom_file(chest())[:900])
    (films / "c.png").write_bytes(b"")
    (films / "d.png").write_bytes(FILM)
    gone, text = tmp_path / "gone.dcm", tmp_path / "text.txt"
    text.write_text("named, so tried")
    os.mkfifo(tmp_path / "pipe")
    out = tmp_path / "out"
    assert command(films, gone, text, tmp_path / "pipe", "--out", out) == 1
    assert names_in(document(out)) == ["a.png", "d.png"]
    told = capsys.readouterr().err.splitlines()
    for path, reason in (
        (films / "b.dcm", "the pixel data have"),
        (films / "c.png", "the file has no bytes"),
        (gone, "No such file or directory"),
        (text, "none of DICOM, PNG, JPEG and TIFF"),
        (tmp_path / "pipe", "no regular file"),
    ):
        assert any(line.startswith(f"{path}: ") and reason in line for line in told), path
    assert told[-1] == f"2 segmented, 5 refused: {out / 'annotations.json'}"


def test_films_that_break_their_decoder_are_refused(
    tiny_model: Path,
    document: Document,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Errors,
) -> None:
    monkeypatch.setattr("solo.sandbox.process._WORKER", "tests.support.planted_worker")
    films = {"a": FILM, "b": SEGFAULT, "c": HANG, "d": FAULT, "e": FILM}
    for name, data in films.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    words = [str(tmp_path), "--out", str(tmp_path / "out"), "--model", str(tiny_model)]
    assert main([*words, "--cores", "1"], Sandbox(workers=1, decode_seconds=0.5)) == 1
    assert names_in(document(tmp_path / "out")) == ["a.png", "e.png"]
    told = capsys.readouterr().err
    assert "b.png: the file cannot be decoded: its decoder broke on it" in told
    assert "c.png: decoding the file took more than 0.5 seconds" in told
    assert "Planted^Patient" not in told


def test_what_is_no_film_in_a_folder_is_passed_over(
    command: Command, document: Document, tmp_path: Path, capsys: Errors
) -> None:
    deep = tmp_path / "b" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "a" / ".git").mkdir(parents=True)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "nothing").symlink_to(tmp_path / "gone")
    (tmp_path / "a" / "itself").symlink_to(tmp_path / "a" / "itself")
    (tmp_path / "a" / ".git" / "x.png").write_bytes(FILM)
    (deep / "IM0001").write_bytes(dicom_file(chest()))
    (deep / "film.png").write_bytes(FILM)
    for name in (".DS_Store", "._film.png", "notes.txt", "list.csv", "a.json", "DICOMDIR"):
        (deep / name).write_bytes(b"no film")
    out = tmp_path / "b" / "out"
    for _ in range(2):  # the second time, there are results in the folder
        assert command(tmp_path, "--out", out, "--format", "coco,overlay") == 0
        assert names_in(document(out)) == ["IM0001", "film.png"]
    assert "2 done before, 0 refused, 8 passed over that are no films" in capsys.readouterr().err
    assert command(tmp_path, "--out", tmp_path / "other") == 0
    assert names_in(document(tmp_path / "other")) == ["IM0001", "film.png"]


def test_a_film_that_is_named_twice_is_one(
    command: Command, document: Document, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(FILM)
    (tmp_path / "link").symlink_to(tmp_path)
    words = [tmp_path / "a.png", tmp_path, tmp_path / "link" / "a.png", "--out", tmp_path / "out"]
    assert command(*words) == 0
    assert names_in(document(tmp_path / "out")) == ["a.png"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--format", "jpeg", "--out", "out"], "there is no format 'jpeg'"),
        (["--score-threshold", "2", "--out", "out"], "score_threshold is 2.0"),
        (["--score-threshold", "nan", "--out", "out"], "score_threshold is nan"),
        (["--cores", "0", "--out", "out"], "'0' is no number of cores"),
        (["--colour", "red", "--out", "out"], "unrecognized arguments: --colour"),
        ([], "required: --out"),
        (["--out", "a.png"], "--out a.png is a file"),
        (["--out", "a.png/out"], "--out a.png/out cannot be made"),
        (["--out", "out", "--model", "gone.onnx"], "gone.onnx"),
    ],
)
def test_what_cannot_be_meant_ends_with_2(
    words: list[str],
    reason: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Errors,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(FILM)
    try:
        code: Any = command("a.png", *words)
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert reason in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_folder_without_films_ends_with_2(
    command: Command, tmp_path: Path, capsys: Errors
) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    assert command(tmp_path, "--out", tmp_path / "out") == 2
    assert f"there is no film in {tmp_path}" in capsys.readouterr().err


def test_results_are_not_put_among_the_films(
    command: Command, tmp_path: Path, capsys: Errors
) -> None:
    (tmp_path / "a.png").write_bytes(FILM)
    assert command(tmp_path, "--out", f"{tmp_path}/.") == 2
    assert "is a folder of films, and has to be one of its own" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_folder_of_results_among_films_is_named(
    command: Command, tmp_path: Path, capsys: Errors
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    (films / "a.png").write_bytes(FILM)
    assert command(films, "--out", films / "found", "--format", "overlay") == 0
    assert command(films, "--out", tmp_path / "other") == 0
    told = capsys.readouterr().err
    assert f"{films / 'found'} holds results of this command and is passed over" in told


def test_a_name_cannot_command_the_terminal(
    command: Command, tmp_path: Path, capsys: Errors
) -> None:
    (tmp_path / "\x1b[2Ja.png").write_bytes(b"")
    assert command(tmp_path, "--out", tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert "\\x1b[2Ja.png" in told
    assert "\x1b" not in told


def test_after_two_dashes_all_words_are_names(
    command: Command, document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-rf.png", "a.png"):
        Path(name).write_bytes(FILM)
    assert command("--out", "out", "--", "-rf.png", "a.png") == 0
    assert names_in(document(tmp_path / "out")) == ["-rf.png", "a.png"]


def test_without_a_stderr_the_run_goes_on(
    command: Command, document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(FILM)
    (tmp_path / "b.png").write_bytes(b"")
    monkeypatch.setattr(sys, "stderr", None)  # as Python does where it is closed
    assert command(tmp_path, "--out", tmp_path / "out") == 1
    assert names_in(document(tmp_path / "out")) == ["a.png"]


def test_a_segmenter_that_cannot_go_on_ends_the_run(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Errors
) -> None:
    def run(_: object, __: object, failures: Events) -> int:
        """Waits for an answer that nobody will give."""
        threading.Timer(0.1, failures.on_failure, ["decoders cannot be started: OSError"]).start()
        threading.Event().wait(20)
        return 0

    monkeypatch.setattr("solo.command.main._run", run)
    assert command(tmp_path, "--out", tmp_path / "out") == 1
    assert "decoders cannot be started: OSError" in capsys.readouterr().err


def test_the_library_needs_no_progress_bar() -> None:
    code = "import sys; sys.modules['tqdm'] = None; import solo.segmenter, solo.formats.coco"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
