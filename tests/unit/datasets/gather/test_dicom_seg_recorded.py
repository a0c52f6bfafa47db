"""SEG objects that other tools wrote: see recorded/README.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.seg_folder import film, folder, gather, same

RECORDED = Path(__file__).parent / "recorded"
SIZE = (12, 20)
ROWS, COLUMNS = np.mgrid[: SIZE[0], : SIZE[1]]
DISC = (ROWS - 5) ** 2 + (COLUMNS - 5) ** 2 < 14
CORNER = (COLUMNS > 13) & (ROWS < 8)
NAMES = {  # of the corner, which was labelled `Segment 2` or `Knöchel 7`
    "dcmqi_binary.dcm": "Heart",
    "dcmqi_labelmap_deflated.dcm": "Heart",
    "highdicom_binary.dcm": "Heart",
    "highdicom_fractional_rle.dcm": "Heart",
    "highdicom_labelmap_jpegls.dcm": "Heart",
    "highdicom_labelmap_palette.dcm": "Heart",
    "ohif_binary.dcm": "Tissue",
    "ohif_binary_rle.dcm": "Knöchel",
    "ohif_labelmap_rle.dcm": "Knöchel",
}


def test_all_recorded_files_are_tried() -> None:
    assert NAMES.keys() == {path.name for path in RECORDED.glob("*.dcm")}


@pytest.mark.parametrize("name", NAMES)
def test_masks_are_those_that_the_writer_was_given(name: str, tmp_path: Path) -> None:
    source = folder(tmp_path / "in", film=film(1, SIZE), seg=(RECORDED / name).read_bytes())
    found = gather(source, out=tmp_path / "out").objects
    assert same(found[1, 0], [("Left lung", DISC), (NAMES[name], CORNER)])
