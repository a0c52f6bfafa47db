"""SEG objects of `POST /dicom`, as the page saves corrections, gathered beside their film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from datasets.gather.__main__ import main
from model.data.coco import load_coco
from tests.support.annotations import annotation, document, written
from tests.support.decoders import DecoderHere
from tests.support.dicom_results import coded_manifest, hospital_film
from tests.support.engines import FakeEngine
from tests.support.films import chest
from tests.support.in_process import client

pytestmark = pytest.mark.anyio
SIZE = (70, 60)
FILM = hospital_film(chest())
FOUND = np.arange(60) < np.full((70, 1), 25)
CORRECTED = np.hypot(*np.mgrid[-35:35, -30:30]) // 8 == 2
DRAWN = np.zeros(SIZE, np.bool_)
DRAWN[3, 4] = True


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_what_was_corrected_counts_and_is_gathered_again_unchanged(tmp_path: Path) -> None:
    source = tmp_path / "films"
    source.mkdir()
    (source / "film").write_bytes(FILM)
    found = annotation(FOUND, score=0.9, segment_algorithm_type="AUTOMATIC")
    corrected = [
        annotation(CORRECTED, score=0.9, segment_algorithm_type="SEMIAUTOMATIC"),
        annotation(DRAWN, 2, segment_algorithm_type="MANUAL"),
    ]
    async with client(FakeEngine(document=coded_manifest()), DecoderHere()) as http:
        for name, objects in (("corrected", corrected), ("found", [found])):
            sent = written(document(SIZE, *objects))
            answer = await http.post("/dicom", files={"film": FILM, "annotations": sent})
            assert answer.status_code == 200, answer.text
            (source / name).write_bytes(answer.content)
    assert main([str(source), "--out", str(tmp_path / "one")]) == 0
    assert main([str(tmp_path / "one"), "--out", str(tmp_path / "two")]) == 0
    data = load_coco(tmp_path / "one")
    [film] = data.images
    assert film.path.read_bytes() == FILM
    wanted = {"bright": CORRECTED, "dark": DRAWN}
    assert sorted(data.class_names[each.label] for each in film.annotations) == sorted(wanted)
    for each in film.annotations:
        assert each.rle is not None
        mask = coco_mask.decode(each.rle).astype(bool)
        np.testing.assert_array_equal(mask, wanted[data.class_names[each.label]])
    first, second = ((tmp_path / name / "annotations.json").read_text() for name in ("one", "two"))
    assert first == second
