"""The documents: their links lead somewhere, what they name is there, and an example runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydicom import dcmread

from app.settings import PREFIX, Settings
from model.configuration.run import check_tables
from solo.events import Events

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    page
    for folder in (ROOT, DOCS, DOCS / "adr", ROOT / "examples", ROOT / "model" / "zoo")
    for page in folder.glob("*.md")
)
ARCHITECTURE = (DOCS / "architecture.md").read_text()
FOLDER_EXAMPLE, DICOM_EXAMPLE = re.findall(
    r"```python\n(.*?)```", (DOCS / "python.md").read_text(), re.DOTALL
)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    for link in links:
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_the_settings_page_has_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(SOLO_\w+)` \| `(.*?)` \|", (DOCS / "settings.md").read_text(), re.M)
    expected = {
        f"{PREFIX}{name.upper()}": "the cores" if field.default_factory else str(field.default)
        for name, field in Settings.model_fields.items()
    }
    assert dict(rows) == {name: value.replace("None", "none") for name, value in expected.items()}
    assert len(rows) == len(expected)


def test_the_example_of_training_is_a_configuration() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (DOCS / "training.md").read_text(), re.DOTALL)
    assert check_tables(tomllib.loads(text)).tables["training"]["epochs"] == 50


def test_the_example_segments_a_folder(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "chest.png", tmp_path)
    (tmp_path / "bad.dcm").write_bytes(b"no film at all")
    done = subprocess.run(
        [sys.executable, "-c", FOLDER_EXAMPLE, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    bad, *lungs = done.stdout.splitlines()
    assert bad.startswith("bad.dcm failed: the 14 bytes are none of DICOM, PNG, JPEG and TIFF")
    assert [line.split()[:2] for line in lungs] == [["chest.png", "lung"]] * 2


def test_the_example_writes_a_segmentation(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DICOM_EXAMPLE, tmp_path / "chest.seg.dcm"]
    subprocess.run(command, cwd=ROOT, timeout=60, check=True)
    written = dcmread(tmp_path / "chest.seg.dcm")
    assert (written.Modality, len(written.SegmentSequence)) == ("SEG", 2)


def test_every_event_is_told_of() -> None:
    events = {name for name in vars(Events) if name.startswith("on_")}
    assert events == set(re.findall(r"^\| `(on_\w+)` \|", ARCHITECTURE, re.MULTILINE))


def test_every_file_and_folder_that_it_names_is_there() -> None:
    roots = "solo|app|model|export|datasets|tests|docs|docker"
    named = set(re.findall(rf"`((?:{roots})/[\w/.]*)`", ARCHITECTURE))
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / name).exists()]
