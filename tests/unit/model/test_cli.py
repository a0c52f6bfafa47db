"""How commands end."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.cli import finish, tell_replacement
from model.network.device import usable_device


class OwnError(RuntimeError):
    pass


def raising(error: BaseException) -> int:
    def work() -> None:
        raise error

    return finish(work, OwnError, before="not done: ", interrupted="stopped")


def test_a_command_that_works_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert finish(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (ValueError("3 is too many"), 1, "not done: 3 is too many"),
        (OwnError("no"), 1, "not done: no"),
        (FileNotFoundError(2, "No such file", "a.png"), 1, "not done: a.png: No such file"),
        (OSError("the disk is full"), 1, "not done: the disk is full"),
        (KeyboardInterrupt(), 130, "not done: stopped"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    error: BaseException, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(error) == code
    said = capsys.readouterr()
    assert (said.out, said.err.strip()) == ("", sentence)


def test_a_mistake_in_the_program_is_not_hidden() -> None:
    with pytest.raises(AttributeError):
        raising(AttributeError("a bug"))


def test_what_is_replaced_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    tell_replacement(path)
    assert not capsys.readouterr().err
    path.touch()
    tell_replacement(path)
    assert "model.onnx is there already: it is replaced" in capsys.readouterr().err


def test_a_device_that_is_not_there() -> None:
    assert usable_device("cpu").type == "cpu"
    for name in ("gpu", "cuda:99", "meta"):
        with pytest.raises(ValueError, match=f"there is no device '{name}' here"):
            usable_device(name)
