"""Saving as DICOM SEG: what is on the screen comes back as an object of the film's patient."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from app.keys import new_key
from tests.page.reader import Reader
from tests.support.dicom_results import IDENTITY, hospital_film
from tests.support.engines import fitted, write_tiny_model
from tests.support.films import chest
from tests.support.processes import ServiceProcess, serving

SIZE = (70, 60)
CHEST = (30.0, 35.0)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / f"{IDENTITY['PatientID']}.dcm"
    path.write_bytes(hospital_film(chest()))
    return path


def _save(reader: Reader, path: Path, key: str = "d") -> pydicom.FileDataset:
    with reader.page.expect_download() as download:
        reader.press(key)
    digest = hashlib.sha256((path / f"{IDENTITY['PatientID']}.dcm").read_bytes()).hexdigest()
    assert download.value.suggested_filename == f"{digest[:16]}-seg.dcm"
    download.value.save_as(path / "seg.dcm")
    reader.hears(re.compile(rf"instances? saved in {digest[:16]}-seg\.dcm\.$"))
    return pydicom.dcmread(path / "seg.dcm")


def _drawn(reader: Reader) -> npt.NDArray[np.bool_]:
    """Whether the middle of each pixel of the film lies in a mask on the screen."""
    reader.settle()
    canvas = reader.page.locator("canvas").nth(1)
    url = canvas.evaluate("(canvas) => canvas.toDataURL()")
    data = np.frombuffer(base64.b64decode(url.split(",")[1]), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert image is not None
    box = canvas.bounding_box()
    left, top = reader.at((0.5, 0.5), SIZE)
    right, bottom = reader.at((SIZE[1] - 0.5, SIZE[0] - 0.5), SIZE)
    rows = np.linspace(top - box["y"], bottom - box["y"], SIZE[0]).astype(int)
    columns = np.linspace(left - box["x"], right - box["x"], SIZE[1]).astype(int)
    return np.asarray(image[np.ix_(rows, columns)][..., 3] > 0)


def test_corrected_masks_are_saved_as_they_are_on_the_screen(
    reader: Reader, film: Path, tmp_path: Path
) -> None:
    untouched = _save(reader, tmp_path)
    types = [one.SegmentAlgorithmType for one in untouched.SegmentSequence]
    assert types == ["AUTOMATIC", "AUTOMATIC"]
    reader.press("n", "b")
    reader.drag(reader.at(CHEST, SIZE), reader.at((40, 50), SIZE))
    reader.press("n", "Delete", "a")
    reader.drag(reader.at((5, 5), SIZE), reader.at((9, 9), SIZE))
    reader.page.mouse.move(1, 1)
    reader.press("Escape", "p")
    found = _save(reader, tmp_path)
    masks = np.asarray(found.pixel_array, np.bool_)
    np.testing.assert_array_equal(masks.any(axis=0), _drawn(reader))
    areas = [int(re.findall(r"([\d,]+) px", text)[0].replace(",", "")) for text in reader.texts()]
    assert masks.sum(axis=(1, 2)).tolist() == areas
    types = [one.SegmentAlgorithmType for one in found.SegmentSequence]
    assert types == ["SEMIAUTOMATIC", "MANUAL"]
    assert {name: found.get(name) for name in IDENTITY} == IDENTITY
    assert found.SOPInstanceUID != untouched.SOPInstanceUID
    assert _save(reader, tmp_path).SOPInstanceUID == found.SOPInstanceUID
    if shutil.which("dciodvfy") and shutil.which("dcmconv"):
        plain = tmp_path / "plain.dcm"
        subprocess.run(["dcmconv", "+te", tmp_path / "seg.dcm", plain], check=True)  # noqa: S607
        told = subprocess.run(["dciodvfy", plain], capture_output=True, check=False)  # noqa: S607
        assert b"Error" not in told.stderr


def test_the_button_does_it_too_and_no_file_name_is_sent(reader: Reader) -> None:
    reader.page.evaluate(
        """() => {
          const { fetch } = globalThis;
          globalThis.fetch = (path, request) => {
            globalThis.sent = [...request.body].map(([name, file]) => [name, file.name]);
            return fetch(path, request);
          };
        }"""
    )
    with reader.page.expect_download():
        reader.button("Save DICOM SEG").click()
    assert reader.page.evaluate("() => sent") == [["film", "blob"], ["annotations", "blob"]]


def test_what_cannot_be_saved_says_why(
    tiny: ServiceProcess, visit: Any, tmp_path: Path, film: Path
) -> None:
    (tmp_path / "film.png").write_bytes(
        cv2.imencode(".png", (chest() // 16).astype(np.uint8))[1].tobytes()
    )
    reader = visit(tiny.url)
    assert not reader.button("Save DICOM SEG").is_enabled()
    reader.press("d")
    reader.hears("Choose a film")
    reader.open(tmp_path / "film.png")
    reader.press("d")
    reader.hears("Only a DICOM film can be saved as DICOM")
    reader.choose_files(film)
    reader.films().nth(1).filter(has_text="instance").wait_for()
    reader.press("PageDown", "n", "Delete", "n", "Delete", "d")
    reader.hears("the annotations show nothing")


def test_the_key_is_used_and_a_model_without_codes_named(
    visit: Any, film: Path, tmp_path: Path
) -> None:
    key, line = new_key("reader")
    (tmp_path / "keys").write_text(line)
    settings: dict[str, Any] = {
        "model": write_tiny_model(tmp_path / "tiny.onnx", fitted()),
        "keys_file": tmp_path / "keys",
    }
    with serving(tmp_path / "output", provider="cpu", **settings) as closed:
        reader = visit(closed.url)
        reader.page.get_by_label("Key", exact=True).last.fill(key)
        reader.button("Use this key").click()
        reader.open(film)
        reader.press("d")
        reader.hears("the model's file has no codes for its class 'bright'")
