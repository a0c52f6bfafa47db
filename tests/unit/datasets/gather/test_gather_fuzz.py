"""Annotation files broken at random: gathered to a clean set whose balance adds up, or refused."""

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
from tests.support.coco_folder import (
    SIZE,
    annotation,
    compressed,
    disc_film,
    document,
    image,
    rectangle_mask,
    write,
)

WHOLE = document(
    images=[
        image(patientid="A", pixel_spacing_mm=[0.1, 0.1], license="CC0"),
        image(id=8, file_name="b.png", frame=0, frames=1),
    ],
    annotations=[
        annotation(iscrowd=0, bbox=[20, 10, 40, 40]),
        annotation(id="73", image_id=8, segmentation=[[1, 2], [30, 2], [3, 40]]),
        annotation(id=72, segmentation=compressed(rectangle_mask(1, 2, 3, 4))),
        annotation(id=74, segmentation={"size": list(SIZE), "counts": [10, 5, 7985]}),
    ],
)
FILMS = {"film.png": disc_film((40, 40), 20), "b.png": disc_film((60, 40), 20)}
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 7, 8, 9, 70, 1.5, 2**63 - 1, 2**63, float("nan"), "", "7", "b.png", [], {}]
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The keys and indices that lead to all that stands in a document."""
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    return [place for key in keys for place in [(*path, key), *places(value[key], (*path, key))]]


@settings(max_examples=200, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(places(WHOLE)), VALUES), max_size=4))
def test_whatever_stands_in_the_file(changes: list[tuple[tuple[str | int, ...], Any]]) -> None:
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
        source = write(Path(name) / "a", json.loads(json.dumps(content)), FILMS)
        out = Path(name) / "out"
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
        assert counts[0] == (len(content["images"]), len(content["annotations"]))
        assert (
            counts[-1] == kept == (sum(f for f, _ in counts[:-1]), sum(i for _, i in counts[:-1]))
        )
        assert all(films <= 0 and instances <= 0 for films, instances in counts[1:-1])
