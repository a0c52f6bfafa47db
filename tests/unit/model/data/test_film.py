"""Films read from disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from model.data.coco import DatasetError, ImageRecord
from model.data.film import read_film
from solo.decoding.radiograph import Limits
from solo.decoding.raster import decode_png


def record(path: Path, height: int, width: int) -> ImageRecord:
    return ImageRecord(5, path, height, width, "p", ())


def test_grey_is_read_as_stored_whatever_the_name(tmp_path: Path) -> None:
    film = np.random.default_rng(0).integers(0, 256, (30, 20)).astype(np.uint8)
    path = tmp_path / "ü film.png"
    path.write_bytes(cv2.imencode(".png", film)[1].tobytes())
    found = read_film(record(path, 30, 20))
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
    found = read_film(record(path, 32, 16))
    assert found[:14].min() > 200
    assert found[18:].max() < 55


@pytest.mark.parametrize("kind", ["8 bits", "12 of 16 bits", "colour", "colour and alpha"])
def test_training_sees_what_the_service_sees(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    films: dict[str, npt.NDArray[np.uint8] | npt.NDArray[np.uint16]] = {
        "8 bits": rng.integers(0, 256, (40, 30)).astype(np.uint8),
        "12 of 16 bits": rng.integers(100, 4096, (40, 30)).astype(np.uint16),
        "colour": rng.integers(0, 256, (40, 30, 3)).astype(np.uint8),
        "colour and alpha": rng.integers(0, 256, (40, 30, 4)).astype(np.uint8),
    }
    pixels = films[kind]
    stored = cv2.imencode(".png", pixels)[1].tobytes()
    path = tmp_path / "film.png"
    path.write_bytes(stored)
    found = read_film(record(path, 40, 30))
    served = decode_png(stored, Limits(10_000), frame=0).pixels
    np.testing.assert_array_equal(found, served)
    assert found.dtype == served.dtype
    assert found.max() > 0.9 * np.iinfo(found.dtype).max or "colour" in kind


def test_a_film_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    cv2.imwrite(str(path), np.zeros((30, 20), np.uint8))
    sentence = "image 5 is 30 x 20 pixels, its annotations are for 20 x 30"
    with pytest.raises(DatasetError, match=sentence):
        read_film(record(path, 20, 30))


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_what_cannot_be_decoded_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="image 5 cannot be decoded"):
        read_film(record(path, 20, 30))
