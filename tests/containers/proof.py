"""What was seen to hold."""

from __future__ import annotations


class Proof:
    """Promises, each printed when it was seen to hold."""

    def __init__(self) -> None:
        self.kept = 0

    def __call__(self, promise: str, holds: bool, seen: object = "") -> None:
        """Notes a promise.

        Raises:
            AssertionError: if it does not hold.
        """
        shown = f" ({seen})" if seen != "" else ""
        if not holds:
            raise AssertionError(f"{promise}{shown}")
        self.kept += 1
        print(f"ok    {promise}{shown}", flush=True)
