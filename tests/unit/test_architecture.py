"""The examples in Python of the documents run as they stand, and what these name is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from solo.events import Events

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def run_example(text: str, *arguments: Path) -> list[str]:
    """The lines that the first example of a document prints, run from the repository's root."""
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found
    done = subprocess.run(
        [sys.executable, "-c", found[1], *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_example_segments_a_folder(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "chest.png", tmp_path)
    (tmp_path / "bad.dcm").write_bytes(b"no film at all")
    bad, *lungs = run_example(PAGE, tmp_path)
    assert bad.startswith("bad.dcm failed: the 14 bytes are none of DICOM, PNG, JPEG and TIFF")
    assert [line.split()[:2] for line in lungs] == [["chest.png", "lung"]] * 2


def test_the_example_of_the_readme_finds_two_lungs() -> None:
    lungs = run_example((ROOT / "README.md").read_text())
    assert len(lungs) == 2
    assert all(line.startswith("lung 0.") and line.endswith("(1240, 1480)") for line in lungs)


def test_every_event_is_told_of() -> None:
    events = {name for name in vars(Events) if name.startswith("on_")}
    assert events == set(re.findall(r"^\| `(on_\w+)` \|", PAGE, re.MULTILINE))


def test_every_file_and_folder_that_it_names_is_there() -> None:
    roots = "solo|app|model|export|datasets|tests|docs|docker"
    named = set(re.findall(rf"`((?:{roots})/[\w/.]*)`", PAGE))
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / name).exists()]
