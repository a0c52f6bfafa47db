"""docs/architecture.md: its example runs as it stands, and what it names is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from solo.events import Events

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_example_segments_a_folder(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "chest.png", tmp_path)
    (tmp_path / "bad.dcm").write_bytes(b"no film at all")
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found
    done = subprocess.run(
        [sys.executable, "-c", found[1], tmp_path],
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


def test_every_event_is_told_of() -> None:
    events = {name for name in vars(Events) if name.startswith("on_")}
    assert events == set(re.findall(r"^\| `(on_\w+)` \|", PAGE, re.MULTILINE))


def test_every_file_and_folder_that_it_names_is_there() -> None:
    roots = "solo|app|model|export|datasets|tests|docs|docker"
    named = set(re.findall(rf"`((?:{roots})/[\w/.]*)`", PAGE))
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / name).exists()]
