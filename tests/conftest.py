"""What holds for all tests: the names by which they ask the service in this process."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

os.environ["SOLO_HOST_NAMES"] = "test,x"

# How long an example takes says more of the machine than of the code.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

# A shell's background jobs have interrupts ignored, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
