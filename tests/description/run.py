"""Asks a service everything that its OpenAPI description allows, and much that it does not.

    python -m tests.description.run SCHEMATHESIS [--max-examples 100] ...

Schemathesis has an environment of its own: it is a plugin of pytest too, and would load with it.
What follows the program is handed on to it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from app.keys import new_key
from tests.support.engines import manifest, write_tiny_model
from tests.support.processes import serving

# A description cannot say which bytes are a film: most of what it allows is 400, and rightly so.
_UNDECIDABLE = "positive_data_acceptance"
_EXAMPLES = "100"


def main(arguments: list[str]) -> int:
    """Command line; returns Schemathesis' exit code, of the first service that has faults."""
    program, *options = str(Path(arguments[0]).absolute()), *arguments[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_tiny_model(folder / "tiny.onnx", manifest())
        key, line = new_key("description")
        (folder / "keys").write_text(line)
        closed: dict[str, Any] = {"keys_file": folder / "keys"}
        shown = ["--header", f"Authorization: Bearer {key}"]
        for settings, headers in (({}, []), (closed, shown)):
            with serving(folder / "output", model=model, **settings) as service:
                done = subprocess.run(
                    [program, "run", f"{service.url}/openapi.json", "--max-examples", _EXAMPLES,
                     "--phases", "examples,coverage,fuzzing", "--exclude-checks", _UNDECIDABLE,
                     "--seed", "1", *headers, *options],
                    cwd=folder,
                    check=False,
                )  # fmt: skip
                if done.returncode != 0 or service.process.poll() is not None:
                    print(f"the service {'with' if headers else 'without'} keys has faults")  # noqa: T201
                    return done.returncode or 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
