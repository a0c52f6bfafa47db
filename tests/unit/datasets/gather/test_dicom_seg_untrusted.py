"""Hostile and damaged SEG objects: refused with a sentence, and nothing else fails."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.gather.dicom_seg import read_dicom_seg
from model.data.coco import DatasetError
from tests.support.seg_files import DEFLATED, Frame, Segment, seg_file
from tests.support.seg_folder import Mask, film, film_uid, folder, gather, noise, same

GOOD = noise(1)
LUNG = [Segment("lung")]


def seg(mask: Mask, number: int = 1, **changes: Any) -> bytes:
    return seg_file(LUNG, [Frame(mask, 1, [(film_uid(number), None)])], **changes)


def deflated_bomb() -> bytes:
    content = seg(GOOD, 2, syntax=DEFLATED)
    begin = 144 + int.from_bytes(content[140:144], "little")  # behind the file meta information
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = zlib.decompressobj(-15).decompress(content[begin:])
    zeros = b"".join(deflater.compress(bytes(2**20)) for _ in range(140))
    return content[:begin] + deflater.compress(body) + zeros + deflater.flush()


BOMBS: dict[str, tuple[Any, str]] = {
    "deflated": (deflated_bomb, "longer than 134,217,728 bytes"),
    "rows": (lambda: seg(GOOD, 2, Rows=65535, Columns=65535), "at most 134,217,728 are"),
    "frames": (
        lambda: seg(GOOD, 2, NumberOfFrames=2**31 - 1),
        "2,147,483,647, and 1 are",
    ),
    "noise": (lambda: seg(np.indices((2200, 2000)).sum(0) % 2 > 0, 3, syntax=DEFLATED), "is noise"),
    "cut": (lambda: seg(GOOD, 2)[:-200], "cannot be read"),
    "sequence": (lambda: seg(GOOD, 2).replace(b"SQ", b"US"), "cannot be read"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_and_the_rest_is_read(
    bomb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, reason = BOMBS[bomb]
    large = film(3, (2200, 2000)) if bomb == "noise" else film(3)
    source = folder(tmp_path / "in", a=film(1), b=film(2), c=large, bad=make(), good=seg(GOOD))
    found = gather(source, out=tmp_path / "out").objects
    assert found.keys() == {(1, 0)}
    assert same(found[1, 0], [("lung", GOOD)])
    text = capsys.readouterr().out
    assert reason in text
    assert "'bad'" in text


BASE = seg_file(LUNG * 2, [Frame(noise(n), n, [(film_uid(1), None)]) for n in (1, 2)])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_is_more_than_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(BASE)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(132, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.sampled_from([len(content), len(content) // 2, len(content) - 3]))
    source = folder(tmp_path_factory.mktemp("in"), a=film(1), b=bytes(content[:end]), c=seg(GOOD))
    try:
        read = read_dicom_seg(source, "in")
    except DatasetError:
        return
    assert read is not None
    assert read.ledger.films == 1


def test_nothing_of_the_patient_leaves_the_films(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(
        tmp_path / "in",
        PLANTED_name=film(1),
        b=film(2),
        c=seg(GOOD),
        d=seg(GOOD, 7),
        e=seg(GOOD)[:-150],
        f=film(3)[:-100],
    )
    result = gather(source, out=tmp_path / "out")
    document = (result.folder / "annotations.json").read_text()
    output = "".join(capsys.readouterr())
    for text in (document, output):
        for planted in ("PLANTED", "Planted", "4711", "1947", "NOWHERE", film_uid(1)):
            assert planted not in text, planted
    (copied,) = (result.folder / "images").iterdir()
    assert copied.read_bytes() == film(1)
