"""The real service with an engine made of Python: python -m tests.support.scripted_service.

A white film takes two seconds to run; a black one breaks the device for good.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import numpy.typing as npt

from app.logging import configure_logging
from app.main import create_app
from app.server import run_server
from app.settings import Settings
from tests.support.engines import FakeEngine

SLOW, DEADLY = 1.0, 0.0


def main() -> int:
    broken = False

    def before(images: npt.NDArray[np.float32]) -> None:
        nonlocal broken
        if (images == SLOW).all((1, 2, 3)).any():
            time.sleep(2)
        broken |= bool((images == DEADLY).all((1, 2, 3)).any())
        fail_if_broken()

    def fail_if_broken() -> None:
        if broken:
            raise RuntimeError("the device is lost")

    settings = Settings.from_environment()
    configure_logging()
    engine = FakeEngine(before, before_self_test=fail_if_broken)
    return 1 if run_server(create_app(settings, engine)) else 0


if __name__ == "__main__":
    sys.exit(main())
