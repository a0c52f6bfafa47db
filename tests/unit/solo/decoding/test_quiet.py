from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
_READ = """
import logging, sys
import cv2
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from solo.decoding.quiet import quieten_decoders

logging.basicConfig(level=logging.DEBUG)
if sys.argv[1] == "quiet":
    quieten_decoders()
tag = Tag("StudyInstanceUID")
Dataset({tag: RawDataElement(tag, "UI", 4, b"Ida1", 0, False, True)}).StudyInstanceUID
logging.getLogger("pydicom").error("Ida2")
cv2.imread("Ida3.png")
"""


def _said(mode: str) -> str:
    command = [sys.executable, "-c", _READ, mode]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_the_libraries_say_nothing_of_what_they_read() -> None:
    said = _said("as they are")
    assert all(name in said for name in ("Ida1", "Ida2", "Ida3"))
    assert _said("quiet") == ""
