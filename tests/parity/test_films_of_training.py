"""One reader of films: training sees every file as the service does, to the bit, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.data.coco import DatasetError, ImageRecord
from model.data.radiograph import read_radiograph
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.errors import SoloError
from tests.fuzz.corpus import corpus
from tests.unit.solo.decoding.test_vendors import ELEMENTS, WHOLE, inserted

LIMITS = Limits(10**8)
REAL_FILMS = Path(__file__).resolve().parents[3] / "shared/dicom"
FILES = {
    **corpus(),
    **{f"vendor's {name}": data for name, data in WHOLE.items()},
    **{f"vendor's element, {name}": inserted(element) for name, element in ELEMENTS.items()},
}
DAMAGED = {
    "nothing": b"",
    "text": b"not a picture",
    "a signature": b"\x89PNG\r\n\x1a\n",
    **{f"half of {name}": data[: len(data) // 2] for name, data in corpus().items()},
    **{f"the head of {name}": data[:200] for name, data in corpus().items()},
}


def record(path: Path, size: tuple[int, int] = (1, 1)) -> ImageRecord:
    return ImageRecord(5, path, *size, "p", ())


def check_equal(path: Path) -> None:
    served = decode(path.read_bytes(), LIMITS).pixels
    found = read_radiograph(record(path, served.shape))
    assert found.dtype == served.dtype
    np.testing.assert_array_equal(found, served, strict=True)


@pytest.mark.parametrize("name", FILES)
def test_training_sees_what_the_service_sees(name: str, tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(FILES[name])
    check_equal(path)


@pytest.mark.skipif(not REAL_FILMS.is_dir(), reason="the real films are not beside the repository")
@pytest.mark.parametrize("name", sorted(path.stem for path in REAL_FILMS.glob("*.dcm")))
def test_training_sees_films_of_real_machines_as_the_service_does(name: str) -> None:
    check_equal(REAL_FILMS / f"{name}.dcm")


@pytest.mark.parametrize("name", DAMAGED)
def test_training_refuses_what_the_service_refuses_with_the_same_sentence(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "film.x"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(SoloError) as served:
        decode(DAMAGED[name], LIMITS)
    with pytest.raises(DatasetError) as refused:
        read_radiograph(record(path))
    assert str(refused.value) == f"image 5 cannot be decoded: film.x: {served.value.detail}"
