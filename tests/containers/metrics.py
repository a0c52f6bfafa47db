"""What the stack's Prometheus answers to a query."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

PROMETHEUS_PORT = 19090


def prometheus(expression: str) -> list[dict[str, Any]]:
    """The series that answer a query."""
    query = urllib.parse.urlencode({"query": expression})
    url = f"http://localhost:{PROMETHEUS_PORT}/api/v1/query?{query}"
    with urllib.request.urlopen(url, timeout=10) as response:
        series: list[dict[str, Any]] = json.load(response)["data"]["result"]
    return series


def value(expression: str) -> float:
    """The value of a query's only series; 0 if there is none."""
    series = prometheus(expression)
    return float(series[0]["value"][1]) if series else 0.0
