"""Films read from disk."""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest

from model.data.coco import DatasetError, ImageRecord, load_coco
from model.data.radiograph import read_radiograph
from tests.support.dicom import PATIENT_NAME, dicom_file


def record(path: Path, height: int, width: int) -> ImageRecord:
    return ImageRecord(5, path, height, width, "p", ())


def test_grey_is_read_as_stored_whatever_the_name(tmp_path: Path) -> None:
    film = np.random.default_rng(0).integers(0, 256, (30, 20)).astype(np.uint8)
    path = tmp_path / "ü film.png"
    path.write_bytes(cv2.imencode(".png", film)[1].tobytes())
    found = read_radiograph(record(path, 30, 20))
    np.testing.assert_array_equal(found, film)
    assert found.dtype == np.uint8


def test_an_orientation_tag_does_not_turn_the_film(tmp_path: Path) -> None:
    film = np.zeros((32, 16), np.uint8)
    film[:16] = 255
    stored = cv2.imencode(".jpg", film)[1].tobytes()
    # EXIF, little-endian, one entry: orientation (0x0112) is 6, "turn a quarter to the right".
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    body = b"Exif\0\0" + tiff
    tagged = stored[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + stored[2:]
    path = tmp_path / "film.jpg"
    path.write_bytes(tagged)
    turned = cv2.imdecode(np.frombuffer(tagged, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert turned is not None
    assert turned.shape == (16, 32)  # the tag works
    found = read_radiograph(record(path, 32, 16))
    assert found[:14].min() > 200
    assert found[18:].max() < 55


def test_a_film_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    cv2.imwrite(str(path), np.zeros((30, 20), np.uint8))
    sentence = "image 5 is 30 x 20 pixels, its annotations are for 20 x 30"
    with pytest.raises(DatasetError, match=sentence):
        read_radiograph(record(path, 20, 30))


def test_a_fault_of_the_reader_is_a_sentence_that_quotes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(PATIENT_NAME)

    monkeypatch.setattr("model.data.radiograph.decode", fail)
    path = tmp_path / "film.png"
    path.write_bytes(b"whatever")
    with pytest.raises(DatasetError) as caught:
        read_radiograph(record(path, 20, 30))
    assert str(caught.value) == "image 5 cannot be decoded: film.png"


def test_a_library_says_nothing_of_what_is_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = pydicom.config.settings
    monkeypatch.setattr(settings, "reading_validation_mode", pydicom.config.WARN)
    data = dicom_file(np.full((30, 20), 9, np.uint8)).replace(b".1.1.1.1\0", b".1.1.1.x\0")
    path = tmp_path / "film.dcm"
    path.write_bytes(data)
    with warnings.catch_warnings(), suppress(DatasetError):
        warnings.simplefilter("error")
        read_radiograph(record(path, 30, 20))


def test_a_file_that_is_gone_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_radiograph(record(tmp_path / "film.png", 20, 30))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [({}, 0), ({"frame": 1, "frames": 2}, 1), ({"frame": 1}, 0), ({"frame": 2, "frames": 2}, 0),
     ({"frame": "1", "frames": 2}, 0), ({"frame": -1, "frames": 2}, 0)],
)  # fmt: skip
def test_a_frame_is_chosen_in_the_words_of_the_command_alone(
    tmp_path: Path, entry: dict[str, Any], expected: int
) -> None:
    frames = np.stack([np.full((30, 20), grey, np.uint8) for grey in (50, 200)])
    (tmp_path / "film.dcm").write_bytes(dicom_file(frames, WindowCenter=128, WindowWidth=256))
    image = {"id": 1, "file_name": "film.dcm", "height": 30, "width": 20, **entry}
    categories = [{"id": 1, "name": "lung"}]
    document = {"images": [image], "categories": categories, "annotations": []}
    (tmp_path / "films.json").write_text(json.dumps(document))
    (found,) = load_coco(tmp_path).images
    assert found.frame == expected
    assert (read_radiograph(found) == frames[expected, 0, 0]).all()
