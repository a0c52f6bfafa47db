"""`python -m solo` whose decoders some files break; see `tests.support.planted_worker`."""

from __future__ import annotations

import sys

from solo.command.main import main
from solo.sandbox import process

if __name__ == "__main__":
    vars(process)["_WORKER"] = "tests.support.planted_worker"
    sys.exit(main())
