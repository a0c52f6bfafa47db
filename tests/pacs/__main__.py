"""Runs the tests with a real archive in a network namespace that has only the loopback.

    make test-pacs ARGS="-m 'not long'"

Orthanc and dcmtk's servers listen on all addresses of a machine, and films of tests are none of
the network's business. Where no namespace or program is to be had, the tests are skipped by name.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

# The second asks dciodvfy and dcmtk, and no archive.
_TESTS = ("tests/pacs", "tests/unit/solo/formats/dicom/test_conformance.py")
_COMMAND = 'ip link set lo up && exec "$@"'


def main() -> int:
    """Runs pytest, within a namespace if there can be one."""
    pytest = [sys.executable, "-m", "pytest", *_TESTS, *sys.argv[1:]]
    apart = ["unshare", "--net"] if _can("unshare", "--net", "true") else []
    if not apart and _can("unshare", "--map-root-user", "--net", "true"):
        apart = ["unshare", "--map-root-user", "--net"]
    if apart and shutil.which("ip"):
        pytest = [*apart, "sh", "-c", _COMMAND, "sh", *pytest]
    return subprocess.run(pytest, check=False).returncode


def _can(*command: str) -> bool:
    return (
        shutil.which(command[0]) is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


if __name__ == "__main__":
    sys.exit(main())
