from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.keys import Keys, KeysError, KeysFile, main, new_key

DIGEST = hashlib.sha256(b"planted").hexdigest()


def written(folder: Path, text: str) -> Path:
    path = folder / "keys"
    path.write_text(text)
    return path


def test_a_key_is_known_by_its_hash(tmp_path: Path) -> None:
    other = hashlib.sha256(b"other").hexdigest()
    text = f"# two clinics\n\nclinic-a {DIGEST}\n  clinic-b\t{other}  \r\n"
    keys = Keys.read(written(tmp_path, text))
    assert keys.name_of("planted") == "clinic-a"
    assert keys.name_of("other") == "clinic-b"
    assert keys.name_of(DIGEST) is None
    assert keys.name_of("") is None


@given(st.text())
def test_no_other_key_is_known(key: str) -> None:
    assert Keys({"a": DIGEST}).name_of(key) == ("a" if key == "planted" else None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no keys"),
        ("# nobody\n", "has no keys"),
        ("planted\n", "line 1: not of the form"),
        (f"a {DIGEST}\nplanted\n", "line 2: not of the form"),
        (f"a b {DIGEST}\n", "line 1: not of the form"),
        (f"a {DIGEST.upper()}\n", "line 1: not of the form"),
        (f"a {DIGEST[1:]}\n", "line 1: not of the form"),
        (f"a {DIGEST}\na {DIGEST}\n", "line 2: there is a key of this name"),
        ("clinic-ä planted\n", "not ASCII"),
    ],
)
def test_a_file_of_another_form_is_refused_unquoted(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(KeysError, match=message) as caught:
        Keys.read(written(tmp_path, text))
    assert "planted" not in str(caught.value)
    assert DIGEST not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(KeysError, match="cannot be read"):
            Keys.read(path)


@pytest.mark.parametrize("mode", [0o664, 0o666, 0o602])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, f"a {DIGEST}")
    path.chmod(mode)
    with pytest.raises(KeysError, match=r"others may write .* chmod go-w"):
        Keys.read(path)
    path.chmod(0o444)
    assert Keys.read(path).name_of("planted") == "a"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys")
    with pytest.raises(KeysError, match="no regular file"):
        Keys.read(tmp_path / "keys")


class Watched:
    """A file of keys that is in use, on a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.path = written(folder, f"a {DIGEST}")
        self._file = KeysFile(self.path, lambda: self.now)

    def later(self, key: str = "planted") -> str | None:
        self.now += 1
        return self._file.name_of(key)

    def replace(self, text: str) -> None:
        """As an editor does."""
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.rename(self.path)


OTHER = hashlib.sha256(b"other").hexdigest()


def test_keys_come_and_go_while_the_file_is_in_use(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert watched.later("other") is None
    written(tmp_path, f"a {DIGEST}\nb {OTHER}\n")
    assert (watched.later(), watched.later("other")) == ("a", "b")
    watched.replace(f"b {OTHER}\n")
    assert (watched.later(), watched.later("other")) == (None, "b")
    written(tmp_path, f"c {OTHER}\n")  # as long as before, and within the same tick, it may be
    assert watched.later("other") == "c"


def test_a_file_that_cannot_be_used_changes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(tmp_path)
    watched.path.unlink()
    assert watched.later() == watched.later() == "a"
    for text in ("", f"b {OTHER[:9]}"):
        written(tmp_path, text)
        assert watched.later() == watched.later() == "a"
    written(tmp_path, f"b {OTHER}").chmod(0o666)
    assert watched.later() == watched.later() == "a"
    assert len(caplog.records) == 4
    assert {record.getMessage() for record in caplog.records} == {"the keys stay as they were"}
    watched.path.chmod(0o600)
    assert (watched.later(), watched.later("other")) == (None, "b")
    assert DIGEST not in caplog.text
    assert OTHER not in caplog.text


def test_a_new_key_is_in_its_own_line_as_a_hash_only(tmp_path: Path) -> None:
    key, line = new_key("clinic-a")
    assert key not in line
    assert len(key) >= 43  # 256 bits in base 64
    assert Keys.read(written(tmp_path, line)).name_of(key) == "clinic-a"
    assert new_key("clinic-a")[0] != key


def test_the_command_keeps_the_key_out_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clinic-a"]) == 0
    printed = capsys.readouterr()
    key = printed.err.splitlines()[0]
    assert Keys.read(written(tmp_path, printed.out)).name_of(key) == "clinic-a"


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["two words"], ["ä"], ["a" * 65], [""]])
def test_the_command_refuses_odd_names(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
