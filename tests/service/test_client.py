"""The example client against a real service, without any library beside the standard one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.keys import new_key
from tests.support.dicom import dicom_file
from tests.support.films import chest
from tests.support.processes import ServiceProcess, serving

CLIENT = Path(__file__).parents[2] / "examples" / "client.py"
KEY, LINE = new_key("clinic-a")


@pytest.fixture(scope="module")
def closed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("closed")
    (folder / "keys").write_text(LINE)
    with serving(folder / "output", model=tiny_model, keys_file=folder / "keys") as running:
        yield running


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two frames, 70 x 60, in a DICOM file that is called otherwise."""
    path = tmp_path / "film.png"
    path.write_bytes(dicom_file(np.stack([chest(), chest()[:, ::-1]]), NumberOfFrames=2))
    return path


def ask(
    film: Path, service: ServiceProcess, *more: object, key: str = KEY
) -> subprocess.CompletedProcess[str]:
    options = ["--url", service.url, "--key", key, *map(str, more)]
    command = [sys.executable, "-I", "-S", str(CLIENT), str(film), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("frame", [0, 1])
def test_it_lists_the_instances_and_saves_the_picture(
    closed: ServiceProcess, film: Path, tmp_path: Path, frame: int
) -> None:
    done = ask(film, closed, "--out", tmp_path / "overlay.png", "--frame", frame)
    assert done.returncode == 0, done.stderr
    model, *instances = done.stdout.splitlines()
    assert model == "tiny 1"
    assert instances
    assert all(" pixels" in line for line in instances)
    assert "Research use only" in done.stderr
    picture = cv2.imread(str(tmp_path / "overlay.png"))
    assert picture is not None
    assert picture.shape == (70, 60, 3)


def test_it_repeats_what_the_service_says(closed: ServiceProcess, film: Path) -> None:
    done = ask(film, closed, "--frame", 7)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("422: ")
    assert "the file has 2" in done.stderr
    assert ask(film, closed, key="wrong").stderr.startswith("401: ")


def test_it_says_what_it_cannot_read_or_write(
    closed: ServiceProcess, film: Path, tmp_path: Path
) -> None:
    done = ask(tmp_path / "none.dcm", closed)
    assert (done.returncode, done.stderr) == (1, f"there is no file {tmp_path / 'none.dcm'}\n")
    out = tmp_path / "none" / "overlay.png"
    done = ask(film, closed, "--out", out)
    assert (done.returncode, done.stderr) == (
        1,
        f"{out} cannot be written: No such file or directory\n",
    )
