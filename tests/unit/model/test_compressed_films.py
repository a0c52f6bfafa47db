"""A data set of compressed DICOM films, as public sets come, is checked and trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pydicom.uid import JPEG2000Lossless

from datasets.doctor.__main__ import main as examine
from model import train
from model.configuration.presets import PRESETS
from model.data.coco import DatasetError
from model.network.checkpoint import load_checkpoint
from model.training.verify import load_readable
from tests.support.coco_folder import SIZE, annotation, document, image, write
from tests.support.encapsulated import EXACT, encoded_file
from tests.support.tiny import tiny_preset

TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two films of 12 bits in JPEG 2000; the preset `tiny` trains on them in seconds."""
    monkeypatch.setitem(PRESETS, "tiny", lambda categories: tiny_preset(2, categories))
    names = ["a.dcm", "b.dcm"]
    images = [image(id=key, file_name=name) for key, name in enumerate(names)]
    objects = [annotation(id=key, image_id=key) for key in range(len(names))]
    folder = write(tmp_path / "films", document(images=images, annotations=objects), {})
    rng = np.random.default_rng(0)
    for name in names:
        pixels = cv2.GaussianBlur(rng.uniform(-9000, 13000, SIZE), (0, 0), 5)
        stored = np.clip(pixels, 0, 4095).astype(np.uint16)
        data = encoded_file(stored, JPEG2000Lossless, EXACT[JPEG2000Lossless], **TWELVE)
        (folder / name).write_bytes(data)
    return folder


def test_every_film_is_readable(films: Path) -> None:
    assert len(load_readable(films).images) == 2


def test_the_doctor_examines_them(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.png"
    assert examine(["--data", str(films), "--preset", "tiny", "--page", str(page)]) == 0
    assert "2 images, 2 objects" in capsys.readouterr().out
    drawn = cv2.imread(str(page))
    assert drawn is not None
    assert len(np.unique(drawn)) > 100  # the films are on it


def test_training_takes_its_steps(films: Path, tmp_path: Path) -> None:
    threads = str(torch.get_num_threads())
    out = tmp_path / "run"
    given = ["--preset", "tiny", "--data", str(films), "--out", str(out), "--device", "cpu"]
    assert train.main([*given, "--threads", threads]) == 0
    assert load_checkpoint(out / "checkpoint.pt")[1]["step"] == 2


def test_a_film_that_is_cut_is_named_with_the_readers_sentence(films: Path) -> None:
    path = films / "b.dcm"
    path.write_bytes(path.read_bytes()[:-300])
    sentence = (
        r"^image 1 cannot be decoded: b\.dcm: the encapsulated pixel data end within an item$"
    )
    with pytest.raises(DatasetError, match=sentence):
        load_readable(films)
