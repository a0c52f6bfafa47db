"""`POST /dicom`: the object has the masks that were sent, says so, and is no other's."""

from __future__ import annotations

import asyncio
import io
import logging
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from app.http.upload import MAX_ANNOTATION_BYTES
from solo.formats.coco_annotations import MOST_INSTANCES, MOST_RUNS
from tests.support.annotations import annotation, document, written
from tests.support.decoders import DecoderHere
from tests.support.dicom_results import IDENTITY, coded_manifest, hospital_film
from tests.support.engines import FakeEngine, manifest
from tests.support.films import chest
from tests.support.in_process import IMAGE, client

pytestmark = pytest.mark.anyio
SIZE = (70, 60)
FILM = hospital_film(chest())
LEFT = np.arange(60) < np.full((70, 1), 25)
SPECK = np.zeros(SIZE, np.bool_)
SPECK[3, 4] = True
RING = np.hypot(*np.mgrid[-35:35, -30:30]) // 8 == 2
FOUND = annotation(LEFT, score=0.9)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def ask(
    annotations: object = None,
    film: bytes = FILM,
    headers: dict[str, str] | None = None,
    model: Any = None,
    **params: Any,
) -> httpx.Response:
    content = document(SIZE, FOUND) if annotations is None else annotations
    sent = content if isinstance(content, bytes) else written(content)
    async with client(FakeEngine(document=model or coded_manifest()), DecoderHere()) as http:
        files = {"film": film, "annotations": sent}
        return await http.post("/dicom", files=files, headers=headers, params=params)


async def saved(*annotations: dict[str, Any], **more: Any) -> pydicom.FileDataset:
    content = more.pop("content", None) or document(SIZE, *annotations)
    answer = await ask(content, **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    return pydicom.dcmread(io.BytesIO(answer.content))


async def test_frames_are_the_masks_that_were_sent() -> None:
    masks = [LEFT, RING, SPECK, ~LEFT]
    found = await saved(*(annotation(mask, 1 + at % 2) for at, mask in enumerate(masks)))
    np.testing.assert_array_equal(found.pixel_array, masks)
    assert found.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    assert [one.SegmentLabel for one in found.SegmentSequence] == [
        "bright 1", "dark 1", "bright 2", "dark 2",
    ]  # fmt: skip
    assert {name: found.get(name) for name in IDENTITY} == IDENTITY


async def test_the_forms_of_an_answer_are_those_of_segment() -> None:
    explicit = {"accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
    found = await saved(FOUND, headers=explicit)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    oriented = await saved(FOUND, beyond_standard="orientation")
    assert "PlaneOrientationSequence" in oriented.SharedFunctionalGroupsSequence[0]
    assert (await saved(FOUND, kinds="gsps")).ContentLabel == "CORRECTED"
    assert (await saved(FOUND, kinds="sc")).Modality == "OT"
    both = await ask(kinds="seg,gsps,sc")
    assert both.headers["content-type"].startswith('multipart/related; type="application/dicom"')


async def test_it_says_who_made_each_segment() -> None:
    """PS3.3 C.8.20.2: an algorithm's name is required, unless a person alone drew the segment."""
    types = ["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]
    told = [annotation(LEFT, score=0.25, segment_algorithm_type=kind) for kind in types]
    found = await saved(*told, FOUND, annotation(RING))
    sequence = found.SegmentSequence
    assert [one.SegmentAlgorithmType for one in sequence] == [*types, "SEMIAUTOMATIC", "MANUAL"]
    by_model = [one.get("SegmentAlgorithmName") for one in sequence]
    assert by_model == ["tiny", "tiny", None, "tiny", None]
    identified = ["SegmentationAlgorithmIdentificationSequence" in one for one in sequence]
    assert identified == [True, True, False, True, False]
    assert [one.SegmentDescription for one in sequence] == [
        "score 0.250", "corrected by a person", "drawn by a person",
        "corrected by a person", "drawn by a person",
    ]  # fmt: skip
    assert found.ContentLabel == "CORRECTED"
    assert found.SeriesDescription == "SOLO X-ray tiny, corrected: research use"


async def test_the_model_is_that_of_the_annotations() -> None:
    """It may have been replaced since it found them."""
    origin = {"model": {"name": "other", "version": "7", "sha256": "ef" * 32}}
    found = await saved(content=document(SIZE, FOUND, info=origin))
    assert found.ManufacturerModelName == found.SegmentSequence[0].SegmentAlgorithmName == "other"
    assert found.DeviceSerialNumber == "ef" * 32
    assert found.SOPInstanceUID != (await saved(FOUND)).SOPInstanceUID


async def test_other_annotations_are_other_objects_and_the_same_ones_the_same() -> None:
    async with client(FakeEngine(document=coded_manifest()), DecoderHere()) as http:
        answer = await http.post("/segment?kinds=seg", content=FILM)
        json = (await http.post("/segment", content=FILM)).json()["images"][0]
    own = pydicom.dcmread(io.BytesIO(answer.content))
    untouched = [
        {"image_id": 9, "category_id": 1, "score": one["score"],
         "segmentation": one["segmentation"], "segment_algorithm_type": "AUTOMATIC"}
        for one in json["instances"]
    ]  # fmt: skip
    corrections: list[list[dict[str, Any]]] = [
        untouched,
        [FOUND],
        [annotation(LEFT)],  # drawn
        [annotation(LEFT, 2, score=0.9)],  # of another class
        [annotation(~LEFT, score=0.9)],
        [FOUND, annotation(RING)],
    ]
    uids = [(found.SOPInstanceUID, found.SeriesInstanceUID)
            for found in [own, *[await saved(*one) for one in corrections]]]  # fmt: skip
    assert len({uid for pair in uids for uid in pair}) == 2 * len(uids)
    again = [await saved(*one) for one in corrections]
    assert uids[1:] == [(found.SOPInstanceUID, found.SeriesInstanceUID) for found in again]
    kinds = {(await saved(FOUND, kinds=kind)).SOPInstanceUID for kind in ("seg", "gsps", "sc")}
    assert len(kinds) == 3


async def test_a_frame_of_many_is_referred_to() -> None:
    film = hospital_film(np.stack([chest()] * 3), NumberOfFrames=3)
    found = await saved(FOUND, film=film, frame=2)
    source = found.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    assert source.SourceImageSequence[0].ReferencedFrameNumber == 3
    of_one = document(SIZE, FOUND)
    of_one["images"][0] |= {"frame": 1, "frames": 3}
    answer = await ask(of_one, film=film, frame=2)
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "the annotations are of frame 1, and frame 2 is asked for",
    )


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"frames": 1}, None),
        ({"frame": 0}, None),
        ({"frame": 0, "frames": 1}, None),
        ({"frame": 1, "frames": 3}, "of a film of 3 frames, and this one has 1"),
        ({"frame": 1}, "of frame 1, and frame 0 is asked for"),
    ],
)
async def test_frame_and_frames_are_checked_where_they_are_there(
    facts: dict[str, int], sentence: str | None
) -> None:
    answer = await ask(image(**facts))
    assert answer.status_code == (422 if sentence else 200)
    assert sentence is None or sentence in answer.json()["detail"]


def changed(**changes: Any) -> dict[str, Any]:
    return document(SIZE, FOUND | changes)


def masked(counts: object, size: object = SIZE) -> dict[str, Any]:
    return changed(segmentation={"size": size, "counts": counts})


def image(**changes: Any) -> dict[str, Any]:
    content = document(SIZE, FOUND)
    return content | {"images": [content["images"][0] | changes]}


STRIPES = np.tile(np.arange(60) % 2 == 0, (70, 1)) & (np.arange(70) % 2 == 0)[:, None]
REFUSED: dict[str, tuple[Any, int, str, str]] = {
    "no JSON": (b"hello", 400, "malformed", "are no JSON document"),
    "deep": (b"[" * 200_000, 400, "malformed", "are no JSON document"),
    "a list": ([FOUND], 422, "bad-annotations", "document: Input should be an object"),
    "no categories": (
        {"images": [], "annotations": []}, 422, "bad-annotations", "categories: Field required",
    ),
    "no image": (document(SIZE) | {"images": []}, 422, "bad-annotations", "images: List should"),
    "two images": (
        document(SIZE) | {"images": document(SIZE)["images"] * 2},
        422, "bad-annotations", "images: List should have at most 1",
    ),
    "another size": (image(height=71), 422, "bad-annotations", "of a film of 71 x 60 pixels"),
    "another film": (image(sha256="ab" * 32), 422, "bad-annotations", "another film by its"),
    "another image": (changed(image_id=8), 422, "bad-annotations", "annotation 1 is of an image"),
    "no category": (changed(category_id=8), 422, "bad-annotations", "annotation 1 is of an image"),
    "unknown class": (
        document(SIZE, FOUND) | {"categories": [{"id": 1, "name": "spleen"}]},
        422, "bad-annotations",
        "the category 'spleen' is no class of the model, which has bright, dark",
    ),
    "a long name": (
        document(SIZE, FOUND) | {"categories": [{"id": 1, "name": "x" * 65}]},
        422, "bad-annotations", "categories.0.name: String should have at most 64",
    ),
    "hidden letters": (
        document(SIZE, FOUND) | {"categories": [{"id": 1, "name": "bri\u202eght"}]},
        422, "bad-annotations", r"the category 'bri\u202eght' is no class",
    ),
    "a mask of another size": (
        masked("0", (60, 70)), 422, "bad-annotations", "annotation 1 cannot be read: its mask",
    ),
    "polygons": (changed(segmentation=[[1, 1, 5, 1, 5, 5]]), 422, "bad-annotations", "object"),
    "numbers": (masked([1, 2]), 422, "bad-annotations", "counts: Input should be a valid string"),
    "no run lengths": (masked("\n"), 422, "bad-annotations", "not in COCO's compressed run"),
    "too short": (masked("1"), 422, "bad-annotations", "do not add up to its film"),
    "too long": (masked("ooooo1" * 3), 422, "bad-annotations", "do not add up to its film"),
    "score": (changed(score=7), 422, "bad-annotations", "annotations.0.score"),
    "no score": (
        document(SIZE, annotation(LEFT, segment_algorithm_type="AUTOMATIC")),
        422, "bad-annotations", "is AUTOMATIC and has no score",
    ),
    "type": (
        changed(segment_algorithm_type="HUMAN"), 422, "bad-annotations", "segment_algorithm_type",
    ),
    "too many": (
        document(SIZE, *[annotation(SPECK)] * (MOST_INSTANCES + 1)),
        422, "bad-annotations", "at most 1000 items",
    ),
    "too many runs": (
        document(SIZE, *[annotation(STRIPES)] * (MOST_RUNS // 1000)),
        422, "bad-annotations", "more than 262,144 runs",
    ),
    "nothing": (document(SIZE), 422, "nothing-found", "the annotations show nothing"),
    "an empty mask": (
        document(SIZE, annotation(~SPECK & SPECK)), 422, "nothing-found", "show nothing",
    ),
    "too many bytes": (b" " * (MAX_ANNOTATION_BYTES + 1), 413, "body-too-large", "4,194,304"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_annotations_that_cannot_be_used_are_refused(case: str) -> None:
    content, status, kind, sentence = REFUSED[case]
    answer = await ask(content)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"urn:solo-xray:problem:{kind}")
    assert sentence in problem["detail"]
    assert len(problem["detail"]) < 400


async def test_a_film_that_there_can_be_no_object_of_is_refused() -> None:
    picture = document(SIZE, FOUND) | {"images": [{"id": 9, "height": 64, "width": 64}]}
    mask = annotation(np.ones((64, 64), np.bool_))
    cases = {
        "no-dicom-result": await ask(picture | {"annotations": [mask]}, film=IMAGE),
        "no-codes": await ask(model=manifest()),
        "malformed": await ask(film=b"hello"),
        "truncated": await ask(film=FILM[:-100]),
    }
    found = {kind: answer.json()["type"].rpartition(":")[2] for kind, answer in cases.items()}
    assert found == {kind: kind for kind in cases}


@pytest.mark.parametrize("kind", ["gsps", "sc"])
async def test_specks_without_number_are_not_drawn(kind: str) -> None:
    specks = document(SIZE, *[annotation(STRIPES)] * 100)
    answer = await ask(specks, kinds=kind)
    assert (answer.status_code, "at most 65,536 are drawn" in answer.text) == (422, True)
    assert (await ask(specks)).status_code == 200


async def test_a_presentation_state_has_no_more_pieces_than_viewers_draw() -> None:
    dots = [annotation(STRIPES)] * 10  # 1,050 pieces each
    answer = await ask(document(SIZE, *dots), kinds="gsps")
    assert (answer.status_code, "more than 10,000 pieces" in answer.text) == (422, True)
    assert (await ask(document(SIZE, *dots))).status_code == 200


@pytest.mark.parametrize(
    ("parts", "status", "sentence"),
    [
        ([("film", FILM)], 400, "has no part annotations"),
        ([("annotations", b"{}")], 400, "has no part film"),
        ([("film", FILM), ("annotations", b"")], 400, "has no part annotations"),
        ([("film", FILM), ("film", FILM), ("annotations", b"{}")], 400, "more than one part film"),
        ([("films", FILM), ("annotation", b"{}")], 400, "has no part film"),
    ],
)
async def test_a_form_has_one_of_each(
    parts: list[tuple[str, bytes]], status: int, sentence: str
) -> None:
    async with client() as http:
        answer = await http.post("/dicom", files=parts)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True)


async def test_fields_will_do_and_their_order_does_not_matter() -> None:
    """As a script sends them, without file names or media types."""
    async with client(FakeEngine(document=coded_manifest()), DecoderHere()) as http:
        parts = [("annotations", (None, written(document(SIZE, FOUND)))), ("film", (None, FILM))]
        answer = await http.post("/dicom", files=parts)
    assert answer.status_code == 200, answer.text


async def test_what_is_no_form_is_refused() -> None:
    async with client() as http:
        answer = await http.post("/dicom", content=FILM)
        parameter = await http.post("/dicom?score_threshold=1", content=FILM)
        frames = await http.post("/dicom?frame=0-1", content=FILM)
    assert (answer.status_code, "sent as multipart/form-data" in answer.text) == (415, True)
    assert "there are kinds, beyond_standard, frame, lane" in parameter.json()["detail"]
    assert frames.status_code == 422


async def test_no_run_of_the_model_and_none_of_its_figures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = FakeEngine(document=coded_manifest())
    with caplog.at_level(logging.DEBUG):
        async with client(engine, DecoderHere()) as http:
            before = (await http.get("/metrics")).text
            files = {"film": FILM, "annotations": written(document(SIZE, FOUND))}
            assert (await http.post("/dicom", files=files)).status_code == 200
            after = (await http.get("/metrics")).text
    for name in ("solo_instances_total", "solo_batch_size_count"):
        lines = [[line for line in text.splitlines() if line.startswith(name)]
                 for text in (before, after)]  # fmt: skip
        assert lines[0] == lines[1]
    assert 'solo_requests_total{code="200",route="/dicom"} 1.0' in after
    elsewhere = caplog.text + after
    assert not any(value in elsewhere for value in IDENTITY.values() if len(value) > 1)


async def test_a_deadline_holds() -> None:
    class Never(DecoderHere):
        async def decode(self, *_: object, **__: object) -> Any:
            await asyncio.Event().wait()

    async with client(
        FakeEngine(document=coded_manifest()), Never(), deadline_seconds=0.05
    ) as http:
        files = {"film": FILM, "annotations": written(document(SIZE, FOUND))}
        answer = await http.post("/dicom", files=files)
        assert answer.status_code == 504
        assert "solo_queue_depth 0.0" in (await http.get("/metrics")).text
