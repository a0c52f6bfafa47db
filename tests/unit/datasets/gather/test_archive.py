"""Zipped data sets: those that tools write are read, and hostile ones harm nothing."""

from __future__ import annotations

import json
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.gather.__main__ import main
from datasets.gather.archive import unpack
from model.data.coco import DatasetError, load_coco
from tests.support.coco_folder import annotation, disc_film, disc_folder, document, image, write

APPLE_DOUBLE = b"\0\5\x16\7"
Write = Callable[[ZipFile], None]


def entry(name: str, mode: int = 0, content: bytes = b"x") -> Write:
    info = ZipInfo(name)
    info.external_attr = mode << 16
    return lambda packed: packed.writestr(info, content)


def zipped(file: Path, folder: Path, *more: Write, top: str = "") -> Path:
    """A folder as a zip file, below `top` in it, with further entries."""
    with ZipFile(file, "w", ZIP_DEFLATED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            packed.write(path, top + path.relative_to(folder).as_posix())
        for add in more:
            add(packed)
    return file


@pytest.mark.parametrize("top", ["", "export/", "a b/ä/"])
def test_a_zip_is_read_as_its_folder_is(top: str, tmp_path: Path) -> None:
    folder = disc_folder(tmp_path / "one", empty=(2,))
    clutter = [
        entry("__MACOSX/._annotations.json", content=APPLE_DOUBLE),
        entry(f"{top}.DS_Store"),
        entry(f"{top}._0.png", content=APPLE_DOUBLE),
        entry(f"{top}notes.txt"),
        entry(f"{top}empty/"),
    ]
    file = zipped(tmp_path / "ONE.ZIP", folder, *clutter, top=top)
    for name, source in (("a", folder), ("b", file)):
        assert main([str(source), "--out", str(tmp_path / name)]) == 0
    plain, packed = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in found}
        for name in ("a", "b")
        if (found := [path for path in (tmp_path / name).rglob("*") if path.is_file()])
    )
    assert plain == packed
    assert len(load_coco(tmp_path / "b").images) == 4


def test_a_zip_as_the_page_saves_it(tmp_path: Path) -> None:
    """Stored, with the film's digest as its name, a negative, and a patient where one is named."""
    name = "images/0123456789abcdef.png"
    films = {name: disc_film((40, 40), 20), "images/fedcba9876543210.png": disc_film((50, 40), 20)}
    images = [
        image(id=1, file_name=name, pixel_spacing_mm=[0.2, 0.2], patient_id="A7"),
        image(id=2, file_name="images/fedcba9876543210.png"),
    ]
    content = document(images=images, annotations=[annotation(id=1, image_id=1)])
    folder = write(tmp_path / "saved", content, films)
    with ZipFile(tmp_path / "corrected.zip", "w") as packed:
        for path in ("annotations.json", *films):
            packed.write(folder / path, path)
    with ZipFile(tmp_path / "corrected.zip") as packed:
        packed.extractall(tmp_path / "by-hand")
    assert main([str(tmp_path / "corrected.zip"), "--out", str(tmp_path / "out")]) == 0
    by_hand, out = load_coco(tmp_path / "by-hand"), load_coco(tmp_path / "out")
    for one, other in zip(by_hand.images, out.images, strict=True):
        assert one.path.relative_to(tmp_path / "by-hand") == other.path.relative_to(
            tmp_path / "out"
        )
        assert one.path.read_bytes() == other.path.read_bytes()
        assert (one.patient, one.spacing_mm, len(one.annotations)) == (
            (other.patient, other.spacing_mm, len(other.annotations))
        )


PARTS = st.text("abcäé_ .1", min_size=1, max_size=6).filter(lambda part: part[0] not in ". ")
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(PATHS, st.binary(max_size=40), max_size=8))
def test_what_zipfile_unpacks(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folders = {name.rsplit("/", depth)[0] for name in files for depth in (1, 2) if "/" in name}
    files = {name: content for name, content in files.items() if name not in folders}
    root = tmp_path_factory.mktemp("zip")
    with ZipFile(root / "a.zip", "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    with ZipFile(root / "a.zip") as packed:
        packed.extractall(root / "theirs")
    unpack(root / "a.zip", root / "ours")
    for name, content in files.items():
        assert (root / "ours" / name).read_bytes() == content
        assert (root / "theirs" / name).read_bytes() == content
    written = {path for path in (root / "ours").rglob("*") if path.is_file()}
    assert written == {root / "ours" / name for name in files}


def test_names_of_windows_and_of_tools_without_the_flag_for_utf8(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("images\\sub\\a.png", b"windows")
        packed.writestr("f\xfclm.png", b"utf-8")
        packed.writestr("M\x84rz.png", b"437")  # not UTF-8: left in code page 437
    content = (tmp_path / "a.zip").read_bytes()
    content = content.replace("M\x84rz".encode(), b"M\x84rz_")
    flags = rb"(PK\x03\x04..|PK\x01\x02....)\x00\x08"
    content = re.sub(flags, lambda m: m[1] + b"\0\0", content, flags=re.DOTALL)
    (tmp_path / "a.zip").write_bytes(content)
    unpack(tmp_path / "a.zip", tmp_path / "out")
    found = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*.png")
    }
    assert found == {
        "images/sub/a.png": b"windows",
        "f\xfclm.png": b"utf-8",
        "M\xe4rz_.png": b"437",
    }


HOSTILE: dict[str, tuple[tuple[Write, ...], str]] = {
    "upwards": ((entry("../evil"),), "'../evil', which would lie outside of its folder"),
    "upwards within": ((entry("images/../../evil"),), "outside of its folder"),
    "upwards, Windows": ((entry("..\\evil"),), "outside of its folder"),
    "rooted": ((entry("/evil"),), "outside of its folder"),
    "drive": ((entry("C:\\evil"),), "outside of its folder"),
    "no name": ((entry("/"),), "outside of its folder"),
    "link": ((entry("a.png", stat.S_IFLNK | 0o777, b"/etc/passwd"),), "'a.png', which is a link"),
    "link to a folder": (
        (entry("a", stat.S_IFLNK | 0o777, b".."), entry("a/evil")), "which is a link",
    ),
    "pipe": ((entry("a.png", stat.S_IFIFO | 0o666),), "a link or a device"),
    "twice": ((entry("0.png"),), "two entries '0.png'"),
    "twice, other slashes": ((entry("a/b"), entry("a\\b")), "two entries"),
    "a file as a folder": ((entry("0.png/evil"),), "0.png"),
    "deep": ((entry("a/" * 500 + "b"),), "folders within each other"),
    "long": ((entry("a" * 4000),), "File name too long"),
    "bomb": (
        (lambda packed: packed.writestr("a", bytes(100_000_000), ZIP_DEFLATED, 9),), "would grow",
    ),
    "bzip2": ((lambda packed: packed.writestr("a", b"x", ZIP_BZIP2),), "not packed by deflate"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries, sentence = HOSTILE[kind]
    file = zipped(tmp_path / "a.zip", disc_folder(tmp_path / "one"), *entries)
    refused(file, sentence, capsys)


def refused(file: Path, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Checks that a source is refused, and that nothing at all was written."""
    before = sorted(file.parent.rglob("*"))
    assert main([str(file), "--out", str(file.parent / "out" / "set")]) == 1
    assert sentence in capsys.readouterr().err
    assert [path for path in sorted(file.parent.rglob("*")) if path.name != "out"] == before


def changed(pattern: bytes, by: bytes) -> Callable[[bytes], bytes]:
    return lambda content: re.sub(pattern, lambda m: m[1] + by, content, count=1, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda content: content[:-40], "is no zip file that can be read"),
        (lambda content: b"", "is no zip file that can be read"),
        (lambda content: b"not a zip", "is no zip file that can be read"),
        (lambda content: content[:200] + b"\0\1\2\3" * 9 + content[236:], "can be read"),
        # In the central directory: encrypted; smaller or larger than the content; no UTF-8.
        (changed(rb"(PK\x01\x02....)\x00", b"\1"), "is encrypted"),
        (changed(rb"(PK\x01\x02.{20})....", b"\1\0\0\0"), "can be read"),
        (changed(rb"(PK\x01\x02.{20})....", b"\xff\xff\xff\x0f"), "would grow"),
        (lambda content: content.replace("é".encode(), b"\xff\xff"), "can be read"),
    ],
)
def test_damaged_archives(
    damage: Callable[[bytes], bytes],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = zipped(tmp_path / "a.zip", disc_folder(tmp_path / "one"), entry("é.png"))
    file.write_bytes(damage(file.read_bytes()))
    refused(file, sentence, capsys)


@pytest.mark.parametrize("name", ["../secret.png", "{}/secret.png"])
def test_no_name_leads_out_of_an_archive(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The documents of `python -m solo`, which have `frames`, lead to films anywhere."""
    out = tmp_path / "out" / "set"
    out.mkdir(parents=True)
    secret = write(tmp_path, document(), {"secret.png": disc_film((40, 40), 20)}) / "secret.png"
    name = name.format(tmp_path) if "{}" in name else "../" * 4 + "secret.png"
    content = document(images=[image(file_name=name, frame=0, frames=1)])
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.write(tmp_path / "annotations.json", "annotations.json")
    assert main([str(tmp_path / "a.zip"), "--out", str(out)]) == 1
    assert "image 7 lies outside of the archive" in capsys.readouterr().err
    assert secret.is_file()
    assert list(out.iterdir()) == []


def test_faults_name_the_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "film.png").write_bytes(b"")
    refused(zipped(tmp_path / "a.zip", tmp_path / "one"), "a.zip holds no JSON file", capsys)


def test_one_of_several_annotation_files_is_not_guessed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = disc_folder(tmp_path / "one")
    (folder / "b.json").write_bytes((folder / "annotations.json").read_bytes())
    sentence = "a.zip holds 2 JSON files, annotations.json, b.json: unpack it, and give the path"
    refused(zipped(tmp_path / "a.zip", folder), sentence, capsys)


def test_films_outside_are_dropped_without_the_scratch_folder_being_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "film.png").write_bytes(b"secret")
    folder = disc_folder(tmp_path / "one")
    content = json.loads((folder / "annotations.json").read_text())
    content["images"][0]["file_name"] = "../../../film.png"
    write(folder, content, {})
    out = tmp_path / "out"
    assert main([str(zipped(tmp_path / "a.zip", folder)), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"image 10: '../../../film.png' lies outside of {tmp_path / 'a.zip'}" in said
    assert [path.name for path in sorted((out / "images").iterdir())] == ["1.png", "2.png", "3.png"]


def test_a_disk_that_is_full_is_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = zipped(tmp_path / "a.zip", disc_folder(tmp_path / "one"))
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(DatasetError, match="has 10 left"):
        unpack(file, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    assert zipfile.is_zipfile(file)


@pytest.mark.parametrize(
    "more", [[entry("a" * 300)], [entry("a"), entry("a/b")], [entry("a/b"), entry("a")]]
)
def test_names_that_no_folder_takes_are_the_archives_fault(
    more: list[Write], tmp_path: Path
) -> None:
    file = zipped(tmp_path / "odd.zip", disc_folder(tmp_path / "one"), *more)
    with pytest.raises(DatasetError, match=r"odd\.zip cannot be unpacked at 'a+'"):
        unpack(file, tmp_path / "out")


def test_an_archive_without_its_beginning_is_refused(tmp_path: Path) -> None:
    file = zipped(tmp_path / "cut.zip", disc_folder(tmp_path / "one"))
    file.write_bytes(file.read_bytes()[50:])
    with pytest.raises(DatasetError, match=r"cut\.zip "):
        unpack(file, tmp_path / "out")
