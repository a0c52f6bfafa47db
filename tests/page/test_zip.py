"""ZIP archives in the page: against Python's zipfile and Info-ZIP, and hostile ones."""

from __future__ import annotations

import base64
import io
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

FILES = {
    "annotations.json": b'{"a": 1}' * 900,
    "images/1.png": bytes(range(256)) * 70,
    "ü/ł.txt": b"",
}
WRITE = """async (entries) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const blob = await zip.writeZip(entries.map(([name, text]) => [name, new Blob([bytes(text)])]));
  return btoa(Array.from(new Uint8Array(await blob.arrayBuffer()), (byte) =>
    String.fromCharCode(byte)).join(""));
}"""
READ = """async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)), found = {};
  try {
    for (const [name, blob] of await zip.readZip(new Blob([bytes])))
      found[name] = btoa(Array.from(new Uint8Array(await blob.arrayBuffer()), (byte) =>
        String.fromCharCode(byte)).join(""));
  } catch (error) { return error.message }
  return found;
}"""


def _write(modules: Any, files: dict[str, bytes]) -> bytes:
    entries = [[name, base64.b64encode(data).decode()] for name, data in files.items()]
    return base64.b64decode(modules.evaluate(WRITE, entries))


def _read(modules: Any, archive: bytes) -> Any:
    found = modules.evaluate(READ, base64.b64encode(archive).decode())
    if isinstance(found, str):
        return found
    return {name: base64.b64decode(data) for name, data in found.items()}


def _zipped(method: int = zipfile.ZIP_DEFLATED, files: dict[str, bytes] = FILES) -> bytearray:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return bytearray(stream.getvalue())


def test_what_is_written_is_read_by_others(modules: Any, tmp_path: Path) -> None:
    written = _write(modules, FILES)
    assert written == _write(modules, FILES)
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    (tmp_path / "a.zip").write_bytes(written)
    if unzip := shutil.which("unzip"):
        subprocess.run([unzip, "-tqq", tmp_path / "a.zip"], check=True)
    assert _read(modules, written) == FILES
    assert _read(modules, _write(modules, {})) == {}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_python_writes_is_read(modules: Any, method: int) -> None:
    assert _read(modules, bytes(_zipped(method))) == FILES
    assert _read(modules, b"before it" + bytes(_zipped(method))) == FILES


@pytest.mark.skipif(not shutil.which("zip"), reason="there is no Info-ZIP")
@pytest.mark.parametrize("options", [["-r"], ["-r", "-0"], ["-r", "-fd"], ["-r", "-z"]])
def test_what_info_zip_writes_is_read(modules: Any, options: list[str], tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(data)
    command = ["zip", "-q", *options, str(tmp_path / "a.zip"), "."]
    subprocess.run(command, cwd=tmp_path / "set", check=True, input=b"a comment\n")
    assert _read(modules, (tmp_path / "a.zip").read_bytes()) == FILES


class _Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def test_data_descriptors_and_clutter_of_macos_are_read(modules: Any) -> None:
    stream = _Unseekable()  # so that sizes follow the data, as in the archives of macOS
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("set")
        archive.writestr("set/a.json", b"{}" * 99)
        archive.writestr("__MACOSX/set/._a.json", b"\0\5\x16\7")
    assert _read(modules, stream.getvalue()) == {"set/a.json": b"{}" * 99}


@pytest.mark.parametrize("encoding", ["utf-8", "cp437"])
def test_names_of_windows_and_dos_are_read(modules: Any, encoding: str) -> None:
    name = "Bilder\\Lübeck.png"
    stand_in = "x" * len(name.encode(encoding))
    data = bytes(_zipped(files={stand_in: b"1"}))
    data = data.replace(stand_in.encode(), name.encode(encoding))
    assert _read(modules, data) == {"Bilder/Lübeck.png": b"1"}


def _patched(data: bytearray, signature: bytes, field: int, value: bytes) -> bytearray:
    at = data.rindex(signature) + field
    data[at : at + len(value)] = value
    return data


ENTRY, END, LOCAL = b"PK\1\2", b"PK\5\6", b"PK\3\4"
LARGE = struct.pack("<L", 600 << 20)


@pytest.mark.parametrize(
    ("archive", "word"),
    [
        (bytearray(b"PK"), "no zip"),
        (bytearray(), "no zip"),
        (_zipped()[:-30], "no zip"),
        (_patched(_zipped(), ENTRY, 8, b"\1\0"), "encrypted"),
        (_patched(_zipped(), ENTRY, 10, b"\x0e\0"), "method"),
        (_patched(_zipped(), ENTRY, 16, b"\1\2\3\4"), "damaged"),
        (_patched(_zipped(), ENTRY, 24, b"\7\0\0\0"), "damaged"),
        (_patched(_zipped(), ENTRY, 24, LARGE), "512 MiB"),
        (_patched(_zipped(), ENTRY, 24, b"\xff" * 4), "zip64"),
        (_patched(_zipped(), ENTRY, 42, b"\0\0\0\0"), "overlap"),
        (_patched(_zipped(), ENTRY, 42, b"\1\0\0\0"), "overlap"),
        (_patched(_zipped(), ENTRY, 20, b"\xff\xff\0\0"), "overlap"),
        (_patched(_zipped(), LOCAL, 26, b"\xff\xff"), "overlap"),
        (_patched(_zipped(), ENTRY, 28, b"\xff\xff"), "damaged"),
        (_patched(_zipped(), END, 10, b"\xff\xff"), "20,000"),
        (_patched(_zipped(), END, 12, b"\xff" * 4), "zip64"),
        (_patched(_zipped(), END, 16, b"\xff\xff\xff\x0f"), "damaged"),
        (_patched(_zipped(), END, 4, b"\1\0"), "damaged"),
        (_patched(_zipped(files={"a": b"x" * 50}), LOCAL, 40, b"\xff"), "damaged"),
        (_patched(_zipped(0, {"a": b"x" * 50}), LOCAL, 40, b"\xff"), "damaged"),
        (_zipped(files={f"{i}": b"" for i in range(20001)}), "20,000"),
    ],
)
def test_what_is_not_plain_is_refused_with_a_sentence(
    modules: Any, archive: bytearray, word: str
) -> None:
    sentence = _read(modules, bytes(archive))
    assert isinstance(sentence, str)
    assert word in sentence
    assert sentence.endswith(".")


def test_a_bomb_is_left_where_it_exceeds_its_size(modules: Any) -> None:
    bomb = _zipped(files={"a": bytes(1 << 28)})
    assert _read(modules, bytes(_patched(bomb, ENTRY, 24, b"\1\0\0\0"))).endswith(".")


def test_two_files_of_one_name_are_refused(modules: Any) -> None:
    data = bytes(_zipped(files={"a1": b"1", "a2": b"2"})).replace(b"a2", b"a1")
    assert "same name" in _read(modules, data)


def test_every_cut_and_every_changed_byte_is_survived(modules: Any) -> None:
    data = bytes(_zipped(files={"a": b"abc" * 9, "b": b"d"}))
    for at in range(len(data)):
        for broken in (data[:at], data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]):
            answer = _read(modules, broken)
            assert isinstance(answer, dict) or answer.endswith(".")


def test_a_bomb_is_refused_before_it_grows(modules: Any) -> None:
    packed = _zipped(files={f"{at}.png": bytes(2**24) for at in range(6)})
    assert "hundredfold" in _read(modules, bytes(packed))
