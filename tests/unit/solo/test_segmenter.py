"""The library as its users call it, on a model made of Python and on the bundled one."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pycocotools import mask as coco_mask

from solo import (
    ModelError,
    Options,
    OutOfDistribution,
    RadiographFile,
    Result,
    Sandbox,
    Segmenter,
    SoloError,
)
from solo.errors import (
    AnnotationError,
    ImageTooLargeError,
    InvalidParameterError,
    MalformedError,
)
from solo.formats.dicom.objects import encode_dicom
from tests.support.annotations import annotation, document, written
from tests.support.dicom import dicom_file
from tests.support.dicom_results import coded_manifest, hospital_film
from tests.support.engines import FakeEngine, expected_distance, expected_scores, fitted
from tests.support.films import chest, flat, png

EXAMPLES = Path(__file__).parents[3] / "examples"
FILM = png(flat(200))


@pytest.fixture
def segmenter() -> Iterator[Segmenter]:
    with Segmenter(FakeEngine(), cores=2) as open_segmenter:
        yield open_segmenter


def score(result: object) -> float:
    assert isinstance(result, Result)
    return result.instances[0].score


def test_the_bundled_model_finds_two_lungs_in_the_example() -> None:
    with Segmenter() as bundled:
        result = bundled.segment(EXAMPLES / "chest.dcm")
    assert [instance.label for instance in result.instances] == ["lung", "lung"]
    assert result.model.name == bundled.manifest.name == "cxr-lungs"
    info = result.radiograph
    assert (info.height, info.width, info.grey) == (1240, 1480, "window")
    assert info.pixel_spacing is not None
    assert info.pixel_spacing.source == "geometry"
    for instance in result.instances:
        mask = instance.mask()
        assert mask.shape == (1240, 1480)
        assert mask.sum() == instance.area
        np.testing.assert_array_equal(coco_mask.decode(instance.rle()).astype(np.bool_), mask)
        x, y, width, height = instance.bbox
        assert mask[y : y + height, x : x + width].sum() == instance.area
        assert len(instance.polygons()) == 1


def test_a_result_says_how_far_the_film_is_from_the_training_films() -> None:
    with Segmenter(FakeEngine(document=fitted()), cores=2) as fitted_segmenter:
        usual, strange = (fitted_segmenter.segment(png(flat(grey))) for grey in (127, 128))
        (nothing,) = fitted_segmenter.map([FILM], Options(score_threshold=1))
    assert isinstance(nothing, Result)
    assert nothing.instances == ()
    scores = []
    for result, flagged in ((usual, False), (strange, True), (nothing, True)):
        assert isinstance(result.out_of_distribution, OutOfDistribution)
        assert result.out_of_distribution.flagged is flagged
        scores.append(result.out_of_distribution.score)
    assert scores == pytest.approx([expected_distance(grey / 255) for grey in (127, 128, 200)])


def test_the_limit_itself_is_within() -> None:
    least_above = float(np.nextafter(np.float32(1), np.float32(2)))
    assert OutOfDistribution.of(1.0) == OutOfDistribution(1.0, flagged=False)
    assert OutOfDistribution.of(least_above) == OutOfDistribution(least_above, flagged=True)
    assert OutOfDistribution.of(None) is None


def test_a_model_that_cannot_tell_tells_nothing(segmenter: Segmenter) -> None:
    assert segmenter.segment(FILM).out_of_distribution is None


def test_path_bytes_and_pieces_have_one_result(segmenter: Segmenter, tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(FILM)
    pieces = RadiographFile([FILM[:40], FILM[40:]])
    results = [segmenter.segment(source) for source in (path, str(path), FILM, pieces)]
    assert len({result.sha256 for result in results}) == 1
    assert [score(result) for result in results] == pytest.approx(
        [expected_scores(200 / 255)[0]] * 4
    )
    with pytest.raises(FileNotFoundError):
        segmenter.segment(tmp_path / "absent.png")


@pytest.mark.parametrize("deep", [False, True])
def test_pixels_are_segmented_as_the_same_png_is(segmenter: Segmenter, deep: bool) -> None:
    pixels = chest(80, 60) if deep else (chest(80, 60) >> 4).astype(np.uint8)
    alone = segmenter.segment(pixels, wants_pixels=True)
    filed = segmenter.segment(png(pixels), wants_pixels=True)
    assert alone.pixels is not None
    assert filed.pixels is not None
    np.testing.assert_array_equal(alone.pixels, filed.pixels)
    assert [i.score for i in alone.instances] == [i.score for i in filed.instances]
    assert alone.radiograph.grey == filed.radiograph.grey
    colour = np.dstack([np.full((8, 9), value, np.uint8) for value in (250, 20, 60)])
    seen = segmenter.segment(colour, wants_pixels=True).pixels
    assert seen is not None
    assert (seen == cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)).all()


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.float32), np.zeros(9, np.uint8), np.zeros((0, 4), np.uint8),
     np.zeros((3, 3, 2), np.uint8), np.zeros((4, 4), np.int16)],
)  # fmt: skip
def test_other_arrays_are_refused(segmenter: Segmenter, pixels: npt.NDArray[Any]) -> None:
    with pytest.raises(MalformedError, match="pixels are"):
        segmenter.segment(pixels)
    with pytest.raises(InvalidParameterError, match="frame is 1"):
        segmenter.segment(np.zeros((4, 4), np.uint8), frame=1)


def test_pixels_have_the_limit_of_files() -> None:
    with Segmenter(FakeEngine(), cores=1, max_pixels=100) as segmenter:
        assert segmenter.segment(np.zeros((10, 10), np.uint8)).radiograph.height == 10
        with pytest.raises(ImageTooLargeError, match="at most 100"):
            segmenter.segment(np.zeros((10, 11, 3), np.uint8))


def test_map_keeps_the_order_and_each_error_stays_with_its_source(
    segmenter: Segmenter, tmp_path: Path
) -> None:
    greys = range(140, 240, 2)
    sources: list[Path | bytes] = [png(flat(grey)) for grey in greys]
    sources[7:7] = [b"junk", tmp_path / "absent.dcm"]
    outcomes = list(segmenter.map(sources))
    assert isinstance(outcomes[7], MalformedError)
    assert isinstance(outcomes[8], FileNotFoundError)
    del outcomes[7:9]
    assert [score(outcome) for outcome in outcomes] == pytest.approx(
        [expected_scores(grey / 255)[0] for grey in greys]
    )


def test_map_takes_few_sources_ahead_and_may_be_left(segmenter: Segmenter) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield FILM

    outcomes = segmenter.map(endless())
    for _ in range(10):
        assert isinstance(next(outcomes), Result)
    assert isinstance(outcomes, Generator)
    outcomes.close()
    assert taken <= 10 + 64
    assert segmenter.segment(FILM).instances


def test_options_narrow_the_result(segmenter: Segmenter) -> None:
    film = png((chest(80, 60) >> 4).astype(np.uint8))
    every = Options(score_threshold=0)
    assert len(segmenter.segment(film, options=every).instances) == 2
    assert len(segmenter.segment(film, options=Options(0, max_instances=1)).instances) == 1
    assert segmenter.segment(film, options=Options(score_threshold=1)).instances == ()


@pytest.mark.parametrize(
    "wrong",
    [{"score_threshold": 1.1}, {"score_threshold": "0.5"}, {"max_overlap": -1},
     {"max_overlap": float("nan")}, {"max_instances": 0}, {"max_instances": 2.5},
     {"max_instances": float("nan")}, {"max_instances": "3"}],
)  # fmt: skip
def test_options_out_of_range_are_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        Options(**wrong)


@pytest.mark.parametrize(
    ("called", "name"),
    [(Segmenter, name) for name in ("cores", "max_batch", "queue_limit", "max_pixels")]
    + [(Sandbox, name) for name in ("workers", "decode_seconds")],
)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_numbers_with_which_nothing_can_run_are_refused(
    called: Callable[..., object], name: str, value: float
) -> None:
    given = {"model": FakeEngine()} if called is Segmenter else {}
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        called(**given, **{name: value})


def test_frames_are_chosen_by_number(segmenter: Segmenter) -> None:
    film = dicom_file(np.stack([flat(150), flat(210)]), WindowCenter=128, WindowWidth=256)
    results = [segmenter.segment(film, frame=frame) for frame in (0, 1)]
    assert [result.radiograph.frame for result in results] == [0, 1]
    assert {result.radiograph.frames for result in results} == {2}
    assert score(results[0]) < score(results[1])
    with pytest.raises(SoloError):
        segmenter.segment(film, frame=2)


@pytest.mark.parametrize("sandbox", [None, Sandbox(workers=1)])
def test_a_frame_may_be_a_number_of_numpy(sandbox: Sandbox | None) -> None:
    film = dicom_file(np.stack([flat(150), flat(210)]))
    with Segmenter(FakeEngine(), sandbox, cores=1) as segmenter:
        info = segmenter.segment(film, frame=np.arange(2)[1]).radiograph
        assert (info.frame, type(info.frame)) == (1, int)
        for wrong in (0.0, "0", None):
            with pytest.raises(TypeError):
                segmenter.segment(film, frame=wrong)  # type: ignore[arg-type]


def test_what_cannot_be_opened_is_said_at_once() -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        Segmenter("no-such-model")


def test_importing_the_library_loads_no_door() -> None:
    code = (
        "import sys; from solo import Segmenter, AsyncSegmenter;"
        "unwanted = {'torch', 'fastapi', 'starlette', 'prometheus_client', 'multipart', 'uvicorn',"
        " 'onnx', 'app', 'model'};"
        "print(sorted(unwanted & {*sys.modules}))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("wrong", [{"provider": "gpu"}, {"precision": "bf16"}])
def test_words_that_do_not_exist_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="has to be one of auto, "):
        Segmenter(FakeEngine(), **wrong)


def test_one_source_is_not_many(segmenter: Segmenter) -> None:
    for source in ("film.png", FILM):
        with pytest.raises(TypeError, match="segment takes one"):
            next(segmenter.map(source))  # type: ignore[arg-type]


def test_annotations_become_objects_without_a_run_of_the_model() -> None:
    film, mask = hospital_film(chest()), np.zeros((70, 60), np.bool_)
    mask[10:20, 5:50] = True
    engine = FakeEngine(document=coded_manifest())
    with Segmenter(engine, cores=2) as segmenter:
        own = segmenter.segment(film, wants_header=True)
        runs = len(engine.batches)
        annotations = written(document((70, 60), annotation(mask, score=0.5)))
        corrected = segmenter.annotated(film, annotations, wants_header=True)
        assert len(engine.batches) == runs
        found = [
            pydicom.dcmread(io.BytesIO(encode_dicom(one, "seg", segmenter.manifest)))
            for one in (own, corrected)
        ]
        with pytest.raises(AnnotationError, match="of a film of 7 x 60 pixels"):
            segmenter.annotated(film, written(document((7, 60))))
    assert corrected.sha256 == own.sha256
    np.testing.assert_array_equal(found[1].pixel_array, mask)
    assert found[0].SOPInstanceUID != found[1].SOPInstanceUID
