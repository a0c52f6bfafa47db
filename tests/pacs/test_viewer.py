"""SEG objects in OHIF's reader, cornerstone's adapters in Node: the pixels that it shows.

That it raises nothing says little: of an object that it does not match with its film, it loads no
pixels, and says that all is well.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest

from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.formats.dicom.objects import DicomOptions, encode_dicom
from tests.pacs.conftest import VIEWER
from tests.support.dicom_results import Mask, coded_manifest, half, hospital_film, result_of
from tests.support.processes import serving

pytestmark = pytest.mark.pacs
SHARED = Path("../shared/dicom")
CHEST = Path("examples/chest.dcm")
FOR_VIEWERS = DicomOptions(assumed_orientation=True)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script with its packages in one file, as they are made for a bundler."""
    if shutil.which("node") is None or not VIEWER.exists():
        pytest.skip("there is no viewer: `make test-pacs` makes one where there are node and npm")
    bundled = tmp_path_factory.mktemp("viewer") / "read.cjs"
    subprocess.run(
        [
            *(VIEWER / ".bin/esbuild", "tests/pacs/cornerstone/read.js", "--bundle"),
            *("--platform=node", "--format=cjs", "--log-level=error", f"--outfile={bundled}"),
        ],
        env={**os.environ, "NODE_PATH": str(VIEWER)},
        check=True,
    )
    return bundled


def shown(reader: Path, paths: list[Path]) -> list[list[int] | str]:
    """The pixels of each segment that the viewer shows, or its error, of each object."""
    out = reader.with_name("pixels.json")
    subprocess.run(["node", reader, out, *paths], capture_output=True, check=True)  # noqa: S607
    found: list[list[int] | str] = json.loads(out.read_text())
    return found


def written(folder: Path, film: bytes, masks: list[Mask]) -> Path:
    path = folder / f"{len([*folder.iterdir()])}.dcm"
    path.write_bytes(encode_dicom(result_of(film, masks), "seg", coded_manifest(), FOR_VIEWERS))
    return path


def corner(height: int, width: int) -> Mask:
    """The last pixel alone, which no shift leaves in the frame."""
    mask = np.zeros((height, width), np.bool_)
    mask[-1, -1] = True
    return mask


def test_made_films_with_given_masks(reader: Path, tmp_path: Path) -> None:
    dot = np.zeros((6, 8), np.bool_)
    dot[5, 7] = True
    frames = np.arange(96, dtype=np.uint16).reshape(2, 6, 8)
    film = hospital_film()
    cases = [
        (film, [half()]),
        (film, [half(), ~half(), dot]),  # the third overlaps
        (hospital_film(np.arange(9 * 7, dtype=np.uint8).reshape(9, 7)), [half(9, 7)]),
        *(
            (hospital_film(np.arange(height * width, dtype=np.uint8).reshape(height, width)), masks)
            for height, width in ((9, 7), (5, 5), (6, 7), (6, 10), (8, 8), (3, 11))
            for masks in ([corner(height, width)], [half(height, width), corner(height, width)])
        ),
        (hospital_film(frames, SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1"), [dot]),
    ]
    paths = [written(tmp_path, film, masks) for film, masks in cases]
    areas = [[int(mask.sum()) for mask in masks] for _, masks in cases]
    assert shown(reader, paths) == areas


def test_areas_are_those_of_the_json(reader: Path, tmp_path: Path) -> None:
    film, path = CHEST.read_bytes(), tmp_path / "seg.dcm"
    with serving(tmp_path / "log") as service:
        ask = httpx.Client(base_url=service.url, headers={"Content-Type": "application/dicom"})
        (image,) = ask.post("/segment", content=film).json()["images"]
        seg = ask.post(
            "/segment?beyond_standard=orientation",
            content=film,
            headers={"Accept": "application/dicom"},
        )
        ask.close()
    path.write_bytes(seg.content)
    assert shown(reader, [path]) == [[one["area"] for one in image["instances"]]]


@pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is not here")
@pytest.mark.parametrize("films", [3, pytest.param(None, marks=pytest.mark.long)])
def test_films_of_real_machines_with_given_masks(
    reader: Path, tmp_path: Path, films: int | None
) -> None:
    """The smallest, and all: a large one takes the viewer seconds."""
    paths, areas = [], []
    for film in sorted(SHARED.glob("*.dcm"), key=lambda path: path.stat().st_size)[:films]:
        data = film.read_bytes()
        info = decode(data, Limits(10**8)).info
        mask = half(info.height, info.width)
        masks = [corner(info.height, info.width), mask]  # a shift by a bit changes a count
        paths.append(written(tmp_path, data, masks))
        areas.append([int(one.sum()) for one in masks])
    assert shown(reader, paths) == areas
