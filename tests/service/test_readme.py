"""The commands and the example of the README do as they stand what it says of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import serving

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
START, SHELL, SHELL_SAYS, PYTHON, PYTHON_SAYS, CURL, CURL_SAYS = (text for _, text in BLOCKS[:7])


def run(command: list[str], folder: Path) -> str:
    """Runs a command where the README's reader stands, without what he has written before.

    Returns:
        Its standard output, and its standard error after that.
    """
    for name in ("examples", "solo", "model", "app"):
        (folder / name).symlink_to(ROOT / name)
    environment = folder / ".venv" / "serve" / "bin" / "activate"
    environment.parent.mkdir(parents=True)
    environment.write_text(f"PATH='{Path(sys.executable).parent}':$PATH\n")
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_blocks_are_those_that_are_tried() -> None:
    languages = [language for language, _ in BLOCKS[:7]]
    assert languages == ["", "shell", "", "python", "", "shell", "json"]
    assert START.startswith("make serve\n")


def test_the_shell_segments_a_folder(tmp_path: Path) -> None:
    assert SHELL_SAYS in run(["bash", "-ec", SHELL], tmp_path)
    written = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert len(written["annotations"]) == 4
    assert len([*(tmp_path / "out" / "overlays").rglob("*.png")]) == 2


def test_python_finds_two_lungs(tmp_path: Path) -> None:
    """Boxes differ by a few pixels where the processor takes the float32 model."""
    lines = run([sys.executable, "-c", PYTHON], tmp_path).splitlines()
    expected = PYTHON_SAYS.splitlines()
    assert [(line[:6], line[-12:]) for line in lines] == [(e[:6], e[-12:]) for e in expected]


def test_client_and_curl_ask_the_service(tmp_path: Path) -> None:
    asking = [START.splitlines()[1], CURL]
    with serving(tmp_path / "log") as service:
        address = service.url.removeprefix("http://")
        client, curl = (text.replace("localhost:8000", address) for text in asking)
        client = client.replace("client.py", f"client.py --url {service.url}")
        said = run(["bash", "-ec", f"{client}\n{curl}"], tmp_path)
    assert (tmp_path / "lungs.png").read_bytes().startswith(b"\x89PNG")
    answer = json.loads(said[said.index('{"request_id"') : said.rindex("}") + 1])
    shown = json.loads(CURL_SAYS.replace("..., ", "").replace(", ...]", "]"))
    assert answer.keys() == shown.keys()
    (image,), (picture,) = answer["images"], shown["images"]
    assert image.keys() == picture.keys()
    assert image["pixel_spacing"] == picture["pixel_spacing"]
    assert image["timings"].keys() == picture["timings"].keys()
    for found in image["instances"]:
        assert found.keys() == picture["instances"][0].keys()
    # Processors differ in the model that they take, float32 or int8.
    far, shown_far = image["out_of_distribution"], picture["out_of_distribution"]
    assert far == {
        "score": pytest.approx(shown_far["score"], abs=0.06),
        "flagged": shown_far["flagged"],
    }
    first, shown_first = image["instances"][0], picture["instances"][0]
    for name in ("score", "outline_uncertainty"):
        assert first[name] == pytest.approx(shown_first[name], abs=0.02)


def test_the_page_on_http_shows_the_same_answer() -> None:
    page = (ROOT / "docs" / "http.md").read_text()
    shown = CURL_SAYS[: CURL_SAYS.index("}}, ...]")]
    assert shown in page
