"""`python -m solo FILES-OR-FOLDERS... --out DIR`: segments an archive of films."""

from __future__ import annotations

import sys

from solo.command.main import main

if __name__ == "__main__":
    sys.exit(main())
