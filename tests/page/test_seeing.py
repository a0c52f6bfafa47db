"""Opening and looking: what is drawn is what the model saw, and every control is reached."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from tests.support.dicom import dicom_file
from tests.support.films import chest, png
from tests.support.processes import ServiceProcess

CHEST = Path(__file__).parents[2] / "examples/chest.dcm"
BIG = chest(480, 500)
FILMS = {
    "8-bit.png": png((BIG // 16).astype(np.uint8)),
    "16-bit.png": png(BIG * 16),
    "12-bit.dcm": dicom_file(BIG, BitsStored=12, HighBit=11),
    "signed.dcm": dicom_file((BIG.astype(np.int32) - 2000).astype(np.int16), RescaleSlope=2),
    "inverse.dcm": dicom_file(BIG, PhotometricInterpretation="MONOCHROME1"),
    "window.dcm": dicom_file(BIG, WindowCenter=1800, WindowWidth=900),
    "padded.dcm": dicom_file(np.where(np.arange(500) < 60, np.uint16(7), BIG), PixelPaddingValue=7),
    "sigmoid.dcm": dicom_file(
        BIG, WindowCenter=1800, WindowWidth=900, VOILUTFunction="SIGMOID", RescaleIntercept=-5
    ),
}


@pytest.mark.parametrize("name", FILMS)
def test_the_film_is_drawn_as_the_model_saw_it(
    name: str, lungs: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(FILMS[name])
    pixels = decode(FILMS[name], Limits(10**7), 0).pixels
    expected = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    reader = visit(lungs.url)
    reader.open(tmp_path / name)
    reader.press("0")
    np.testing.assert_array_equal(reader.grey(), expected)

    reader.press("w")
    x, y = reader.at((250, 240), (480, 500))
    reader.drag((x, y), (x + 80, y - 90))
    assert (reader.grey() != expected).any()
    reader.page.get_by_label("Grey", exact=False).select_option(label="as the model saw it")
    np.testing.assert_array_equal(reader.grey(), expected)

    # The window that the film comes with amounts to the same, where there is one.
    reader.press("i")
    np.testing.assert_array_equal(reader.grey(), 255 - expected)
    reader.press("Space", "0")
    np.testing.assert_array_equal(reader.grey(), expected)


def test_all_by_keyboard(lungs: ServiceProcess, visit: Any, tmp_path: Path) -> None:
    reader = visit(lungs.url)
    reader.open(CHEST)
    assert reader.instances().count() == 2
    assert reader.button("lung").count() == 0  # names are told with their scores
    reader.press("n")
    reader.hears(re.compile("lung: 0\\."))
    reader.press("Delete")
    reader.hears("Deleted")
    assert reader.instances().count() == 1
    reader.press("Control+z")
    reader.hears("Undone")
    assert reader.instances().count() == 2
    reader.press("Control+Shift+z")
    assert reader.instances().count() == 1
    reader.press("Enter")
    assert reader.page.get_by_label("reviewed", exact=True).is_checked()
    saved = reader.save(tmp_path / "saved.zip")
    assert saved.stat().st_size > 10_000
    reader.press("?")
    dialog = reader.page.get_by_role("dialog", name="Help")
    dialog.wait_for()
    reader.press("Escape")
    dialog.wait_for(state="hidden")
