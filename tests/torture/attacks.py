"""The table of all attacks: whoever adds a file of them names it here."""

from __future__ import annotations

from tests.torture import (
    greedy_clients,
    heavy_films,
    processes,
    refused_films,
    shapes,
    slow_clients,
)
from tests.torture.attack import ATTACKS

__all__ = [
    "ATTACKS",
    "greedy_clients",
    "heavy_films",
    "processes",
    "refused_films",
    "shapes",
    "slow_clients",
]
