"""The main job with nothing configured: a chest film in, two lungs out."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco_mask
from pydicom import dcmread

from solo.contract.letterbox import Letterbox
from solo.inference.model_file import ModelFile
from solo.inference.onnx_engine import OnnxEngine
from tests.support.films import png
from tests.support.processes import serving

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SIZE = (1240, 1480)

Masks = npt.NDArray[np.bool_]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    output = tmp_path_factory.mktemp("bundled") / "output"
    with serving(output) as running, httpx.Client(base_url=running.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def lungs(http: httpx.Client) -> Masks:
    return found(http, (EXAMPLES / "chest.dcm").read_bytes(), SIZE)


def picture() -> npt.NDArray[np.uint8]:
    film = cv2.imread(str(EXAMPLES / "chest.png"), cv2.IMREAD_GRAYSCALE)
    return np.asarray(film, np.uint8)


def found(http: httpx.Client, film: bytes, size: tuple[int, int]) -> Masks:
    """The masks of the two lungs [2, height, width], the one on the left of the film first."""
    answer = http.post("/segment", content=film)
    assert answer.status_code == 200, answer.text
    (image,) = answer.json()["images"]
    assert (image["height"], image["width"]) == size
    assert [instance["label"] for instance in image["instances"]] == ["lung", "lung"]
    instances = sorted(image["instances"], key=lambda instance: instance["bbox"][0])
    masks = np.stack([coco_mask.decode(i["segmentation"]) for i in instances]).astype(bool)
    assert masks.shape == (2, *size)
    return masks


def iou(some: Masks, others: Masks) -> npt.NDArray[np.float64]:
    """Of each pair of masks."""
    union = (some | others).sum((1, 2))
    ratios: npt.NDArray[np.float64] = (some & others).sum((1, 2)) / union
    return ratios


def test_two_lungs_are_found_where_lungs_are(lungs: Masks) -> None:
    height, width = SIZE
    assert not lungs.all(0).any()
    rows, columns = np.indices(SIZE)
    for lung, side in zip(lungs, (0.3, 0.7), strict=True):
        assert 0.08 < lung.mean() < 0.25
        assert columns[lung].mean() / width == pytest.approx(side, abs=0.08)
        assert rows[lung].mean() / height == pytest.approx(0.45, abs=0.1)


def test_lungs_are_darker_than_what_is_around_them(lungs: Masks) -> None:
    film = picture()
    for lung in lungs:
        wider = cv2.dilate(lung.astype(np.uint8), np.ones((81, 81), np.uint8)).astype(bool)
        around = wider & ~lungs.any(0)
        assert np.median(film[lung]) < np.median(film[around]) - 30


def test_the_png_of_the_same_film_has_the_same_lungs(http: httpx.Client, lungs: Masks) -> None:
    other = found(http, (EXAMPLES / "chest.png").read_bytes(), SIZE)
    assert (iou(lungs, other) > 0.99).all()


def test_a_film_stored_inverted_has_the_same_lungs(http: httpx.Client, lungs: Masks) -> None:
    film = dcmread(EXAMPLES / "chest.dcm")
    largest = (1 << film.BitsStored) - 1
    stored = np.frombuffer(film.PixelData, np.uint16)
    film.PixelData = (largest - stored).tobytes()
    film.PhotometricInterpretation = "MONOCHROME1"
    film.PresentationLUTShape = "INVERSE"
    film.WindowCenter = largest - float(film.WindowCenter)
    file = io.BytesIO()
    film.save_as(file)
    assert (iou(lungs, found(http, file.getvalue(), SIZE)) > 0.99).all()


def test_a_smaller_film_has_the_same_lungs(http: httpx.Client, lungs: Masks) -> None:
    film = picture()
    small = cv2.resize(film, (370, 310), interpolation=cv2.INTER_AREA)
    masks = found(http, png(np.asarray(small, np.uint8)), (310, 370))
    assert (iou(lungs[:, 2::4, 2::4], masks) > 0.96).all()


def test_the_mirror_image_has_the_mirrored_lungs(http: httpx.Client, lungs: Masks) -> None:
    film = picture()
    masks = found(http, png(np.ascontiguousarray(film[:, ::-1])), SIZE)
    assert (iou(lungs, masks[::-1, :, ::-1]) > 0.9).all()


def test_a_blank_film_has_no_lungs(http: httpx.Client) -> None:
    answer = http.post("/segment", content=png(np.full((512, 512), 128, np.uint8)))
    assert answer.json()["images"][0]["instances"] == []


def test_the_model_says_what_it_is(http: httpx.Client) -> None:
    manifest = http.get("/model").json()
    assert manifest["name"] == "cxr-lungs"
    assert manifest["class_names"] == ["lung"]
    assert "research" in manifest["intended_use"].lower()
    assert {"ap", "ap50", "ap75", "dice", "right_count"} <= manifest["metrics"].keys()
    assert "CC BY" in manifest["attribution"]


def test_the_anatomy_of_a_chest() -> None:
    """The other bundled model, on a film computed from the CT that it knows."""
    engine = OnnxEngine(ModelFile.read(ROOT / "model/zoo/thorax-anatomy.onnx"), "cpu", 1, cores=2)
    film = picture()
    letterbox = Letterbox.fit((film.shape[0], film.shape[1]), engine.manifest.canvas_size)
    (answer,) = engine.run(letterbox.apply(film)[None, None])
    seen = answer.instances.select(engine.manifest.score_threshold, 100)
    names = Counter(engine.manifest.class_names[label] for label in seen.labels)
    assert all(names[name] == 1 for name in ("heart", "aorta", "sternum"))
    assert all(names[name] == 2 for name in ("lung", "clavicle", "scapula"))
    assert 18 <= names["rib"] <= 30
    assert 8 <= names["vertebra"] <= 17
