"""Annotation files broken at random: a plain sentence or a data set, never anything else."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.coco import DatasetError, load_coco
from tests.support.coco_folder import SIZE, annotation, compressed, document, image, rectangle_mask

Place = tuple[str | int, ...]
WHOLE = document(
    images=[image(patientid="A", pixel_spacing_mm=[0.1, 0.1]), image(id=8, file_name="b.png")],
    annotations=[
        annotation(iscrowd=0),
        annotation(id=71, segmentation={"size": list(SIZE), "counts": [10, 5, 7985]}),
        annotation(id="73", segmentation=[[1, 2], [30, 2], [3, 40]]),
        annotation(id=72, segmentation=compressed(rectangle_mask(1, 2, 3, 4))),
    ],
)
NUMBERS = [0, -1, 1, 7, 1.5, 1e308, 2**31, 2**63, 10**400, float("nan"), float("inf")]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """Where something stands in a document: the keys and indices that lead to it."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


@settings(max_examples=400)
@given(changes=st.lists(st.tuples(st.sampled_from(list(places(WHOLE))), JSON), max_size=3))
def test_whatever_stands_in_the_file_is_read_or_refused(changes: list[tuple[Place, Any]]) -> None:
    content: Any = copy.deepcopy(WHOLE)
    for path, value in changes:
        inner = content
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
        except (LookupError, TypeError):  # the change before took the place away
            continue
    with TemporaryDirectory() as name:
        folder = Path(name)
        for film in ("film.png", "b.png"):
            (folder / film).write_bytes(b"not a picture")
        (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
        try:
            data = load_coco(folder)
        except DatasetError as error:
            sentences = str(error).splitlines()
            assert sentences
            assert all(sentence.strip() for sentence in sentences)
        else:
            assert all(record.height * record.width < 2**31 for record in data.images)
