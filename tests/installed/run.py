"""Installs the library as users do, away from the source tree, and tries what it promises.

The standard library only: `make test-installed`. Needs a package index for pip.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import venv
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
FILM = ROOT / "examples" / "chest.dcm"
UNWANTED = ("torch", "onnx", "fastapi", "starlette", "prometheus_client", "multipart", "app")

IMPORTED = f"""
import sys
from solo import AsyncSegmenter, Segmenter
assert not [name for name in {UNWANTED!r} if name in sys.modules], sys.modules.keys()
import solo
assert sys.prefix in solo.__file__, solo.__file__
"""
SEGMENTED = """
import sys
from solo import Sandbox, Segmenter
for sandbox in (None, Sandbox(workers=1)):
    with Segmenter(sandbox=sandbox) as segmenter:
        result = segmenter.segment(sys.argv[1])
        labels = [instance.label for instance in result.instances]
        assert labels == ["lung", "lung"], (sandbox, labels)
        assert result.instances[0].mask().sum() == result.instances[0].area > 200_000
"""


def main() -> None:
    """Builds, installs and tries it; a failed check ends with its message."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = str(folder / "venv" / "bin" / "python")
        venv.create(folder / "venv", with_pip=True)
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        run([*pip, "wheel", "--no-deps", "--wheel-dir", name, str(ROOT)], folder)
        (wheel,) = folder.glob("*.whl")
        check_contents(wheel)
        print("the wheel holds solo alone, with every bundled model")

        # What the wheel asks for, at the versions that everything else is tested with.
        pins = re.findall(
            r"^\S+==\S+", (ROOT / "requirements" / "serve-cpu.txt").read_text(), re.MULTILINE
        )
        (folder / "pins.txt").write_text("\n".join(pins))
        run([*pip, "install", "--constraint", str(folder / "pins.txt"), str(wheel)], folder)
        run([python, "-c", IMPORTED], folder)
        print("it is imported without a web framework or torch")
        run([python, "-c", SEGMENTED, str(FILM)], folder)
        print("Segmenter finds two lungs, with and without a sandbox")
        run([python, "-m", "solo", str(FILM), "--out", str(folder / "out")], folder)
        found = json.loads((folder / "out" / "annotations.json").read_text())["annotations"]
        expect(len(found) == 2, f"python -m solo wrote {len(found)} annotations")
        print("python -m solo writes them down")


def check_contents(wheel: Path) -> None:
    """Compares the files of the wheel with those of the source tree."""
    with ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "solo").rglob("*.py")}
    models = {f"solo/zoo/{path.name}" for path in (ROOT / "model" / "zoo").glob("*.onnx")}
    expected = modules | models | {"solo/py.typed"}
    expect(inside == expected, f"not as expected in the wheel: {sorted(inside ^ expected)}")


def run(command: list[str], folder: Path) -> None:
    """Runs a command in a folder outside the tree, with nothing that points into it."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SOLO"))
    }
    ended = subprocess.run(command, cwd=folder, env=environment, check=False)
    expect(ended.returncode == 0, f"exit code {ended.returncode} from {' '.join(command[:4])}")


def expect(holds: bool, otherwise: str) -> None:
    """Ends with a message if something does not hold.

    Raises:
        SystemExit: then.
    """
    if not holds:
        raise SystemExit(otherwise)


if __name__ == "__main__":
    main()
