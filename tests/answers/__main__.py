"""Records some 2,000 answers of the service, or compares them with a recording.

    python -m tests.answers record before.json
    python -m tests.answers compare before.json

What a change is not meant to change stays equal to the byte: statuses, headers, JSON without its
timings, pictures, the counters in the metrics, the OpenAPI document. A recording holds for one
machine, since another processor's kernels round otherwise; to compare two revisions, record the
one in a worktree of its own (this folder copied there if it is older) and compare the other.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.answers.requests import ROOT, Call, calls
from tests.support.processes import serving

_MODELS = {"cxr-lungs": False, "thorax-anatomy": True}  # the larger one is asked less
_PASSED_OVER = {"date", "content-length", "x-request-id"}
# How images of one form meet in batches, and how often it was asked before it was ready, are
# matters of time too.
_TIMED = re.compile(r"seconds|_created|_bucket|solo_batch|healthz/ready|^(#|process_|python_)")


def record() -> dict[str, str]:
    """Asks a service of each bundled model, one request after the other.

    Returns:
        Status, kind of problem if any, and a hash of the answer, by the name of the request.
    """
    answers: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for model, short in _MODELS.items():
            settings: dict[str, object] = {"provider": "cpu", "precision": "float32"}
            path = ROOT / "model" / "zoo" / f"{model}.onnx"
            with serving(Path(folder) / "log", "app.main", model=path, **settings) as service:
                address = service.url.removeprefix("http://")
                for call in calls(short=short):
                    answers[f"{model}: {call.name}"] = _ask(address, call)
                metrics = _ask(address, Call("metrics", "/metrics", method="GET"))
                answers[f"{model}: metrics"] = metrics
    return answers


def _ask(address: str, call: Call) -> str:
    connection = http.client.HTTPConnection(address, timeout=60)
    headers = {"X-Request-ID": "answers", **call.headers}
    try:
        connection.request(call.method, call.path, call.body or None, headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    said = {name.lower(): value for name, value in response.headers.items()}
    kept = sorted((name, value) for name, value in said.items() if name not in _PASSED_OVER)
    kind = ""
    if "json" in said.get("content-type", ""):
        document = _without_timings(json.loads(body))
        kind = str(document.get("type", "")).rpartition(":")[2]
        body = json.dumps(document, sort_keys=True).encode()
    elif call.path == "/metrics":
        lines = [line for line in body.decode().splitlines() if not _TIMED.search(line)]
        body = "\n".join(sorted(lines)).encode()
    digest = hashlib.sha256(json.dumps(kept).encode() + body).hexdigest()[:16]
    return f"{response.status} {kind or '-'} {digest}"


def _without_timings(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_timings(part) for part in value]
    if isinstance(value, dict):
        return {name: _without_timings(part) for name, part in value.items() if name != "timings"}
    return value


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """A line for each answer that is another, new or gone."""
    return [
        f"{name}: {before.get(name, 'not asked')} -> {now.get(name, 'not asked')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def main() -> int:
    """Command line; 1 if an answer is another."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.answers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    before = json.loads(arguments.file.read_text()) if arguments.action == "compare" else {}
    answers = record()
    if arguments.action == "record":
        arguments.file.write_text(json.dumps(answers, indent=0, sort_keys=True) + "\n")
        print(f"{len(answers):,} answers recorded in {arguments.file}")
        return 0
    found = differences(before, answers)
    print(*found, f"{len(answers):,} answers, {len(found)} of them others", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
