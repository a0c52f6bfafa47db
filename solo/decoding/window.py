"""VOI window: the range of values that a display spreads from black to white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


@dataclass(frozen=True)
class Window:
    """VOI window (PS3.3 C.11.2.1.2), centre and width in output values of the Modality LUT."""

    center: float
    width: float
    function: WindowFunction
