"""Labels of YOLO and files of labelme broken at random: a clean set, or a sentence."""

from __future__ import annotations

import copy
import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.gather.__main__ import main
from model.data.coco import load_coco
from tests.support.exports import (
    encoded,
    film,
    labelme,
    put_films,
    put_text,
    put_yolo,
)

WHOLE = labelme("a", imageData=encoded(film("a")))
WHOLE["shapes"] += [
    {"label": "bolt", "points": [[4, 6], [8, 9]], "group_id": 1, "shape_type": "rectangle"},
    {"label": "bolt", "points": [[4, 6], [8, 9]], "group_id": 1, "shape_type": "circle"},
    {
        "label": "nut",
        "points": [[4, 6], [5, 8]],
        "group_id": None,
        "shape_type": "mask",
        "mask": encoded(film("a")[:3, :2]),
    },
]
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, 0, -1, 7, 1.5, 2**63, 1e308, float("nan"), float("inf"), [], {}),
        *("", "7", "..", "mask", "circle", "polygon", "rectangle", "/", "\0", "a.json"),
    ]
)
WORDS = st.sampled_from(
    [
        "0",
        "1",
        "2",
        "-1",
        "0.5",
        ".1",
        "1",
        "nan",
        "inf",
        "1e999",
        "x",
        "\0",
        "\u0661",
        "1_0",
        "\ufeff",
    ]
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The keys and indices that lead to all that stands in a document."""
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    return [place for key in keys for place in [(*path, key), *places(value[key], (*path, key))]]


def check(source: Path) -> None:
    """A sentence, or a set whose balance adds up."""
    out = source.with_name("out")
    with redirect_stdout(StringIO()) as said, redirect_stderr(StringIO()) as told:
        code = main([str(source), "--out", str(out)])
    if code:
        assert told.getvalue().strip()
        assert not out.exists()
        return
    found = load_coco(out)
    rows = [line.split(maxsplit=2) for line in said.getvalue().splitlines()[1:]]
    counts = [(int(row[0]), int(row[1])) for row in rows if row[0] != "-"]
    kept = len(found.images), sum(len(record.annotations) for record in found.images)
    assert counts[-1] == kept == (sum(f for f, _ in counts[:-1]), sum(i for _, i in counts[:-1]))


@settings(max_examples=100, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(places(WHOLE)), VALUES), max_size=4))
def test_whatever_stands_in_a_file_of_labelme(
    changes: list[tuple[tuple[str | int, ...], Any]],
) -> None:
    content: Any = copy.deepcopy(WHOLE)
    for path, value in changes:
        inner = content
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = copy.copy(value)
        except (LookupError, TypeError):  # the change before took the place away
            continue
    with TemporaryDirectory() as name:
        put_text(Path(name) / "a" / "a.json", json.dumps(content))
        put_text(Path(name) / "a" / "b.json", labelme("b"))
        put_films(Path(name) / "a", "b")
        check(Path(name) / "a")


@settings(max_examples=100, deadline=None)
@given(lines=st.lists(st.lists(WORDS, max_size=11).map(" ".join), max_size=4), names=st.binary())
def test_whatever_stands_in_a_label_file(lines: list[str], names: bytes) -> None:
    with TemporaryDirectory() as name:
        source = Path(name) / "a"
        put_yolo(source / "images", source / "labels", "ab")
        put_text(source / "labels" / "a.txt", "\n".join(lines))
        put_text(source / "data.yaml", "names: [bolt, nut, {}]")
        (source / "labels" / "b.txt").write_bytes(names)
        check(source)
        (source / "data.yaml").write_bytes(b"names: " + names)
        check(source)
