"""What holds for all tests: the names by which they ask the service in this process."""

from __future__ import annotations

import os

os.environ["SOLO_HOST_NAMES"] = "test,x"
