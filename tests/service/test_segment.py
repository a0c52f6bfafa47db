from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pydicom.uid import ImplicitVRLittleEndian

from tests.support.dicom import dicom_file
from tests.support.engines import expected_scores
from tests.support.films import Film, chest, flat, jpeg, png
from tests.support.processes import ServiceProcess

FILM = chest(700, 600)
GREY = (FILM // 16).astype(np.uint8)
FILES: dict[str, tuple[bytes, str, tuple[int, int]]] = {
    "png": (png(GREY), "image/png", (700, 600)),
    "deep png": (png(FILM), "image/png", (700, 600)),
    "jpeg": (jpeg(GREY), "image/jpeg", (700, 600)),
    "dicom": (dicom_file(FILM), "application/dicom", (700, 600)),
    "implicit dicom": (
        dicom_file(FILM, syntax=ImplicitVRLittleEndian), "application/dicom", (700, 600),
    ),
    "sniffed": (dicom_file(FILM), "application/octet-stream", (700, 600)),
    "called otherwise": (jpeg(GREY), "image/png", (700, 600)),
    "one pixel": (png(flat(255, 1, 1)), "image/png", (1, 1)),
    "wide": (png(flat(100, 40, 600)), "image/png", (40, 600)),
    "a line": (png(flat(255, 1, 3000)), "image/png", (1, 3000)),
}  # fmt: skip


def decoded(instance: dict[str, Any]) -> Film:
    segmentation = instance["segmentation"]
    counts = segmentation["counts"].encode("ascii")
    mask: Film = coco_mask.decode({"size": segmentation["size"], "counts": counts})
    return mask


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_film_is_answered_at_its_own_size(http: httpx.Client, name: str) -> None:
    data, media_type, shape = FILES[name]
    answer = http.post("/segment", content=data, headers={"content-type": media_type})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["request_id"] == answer.headers["x-request-id"]
    assert (body["model"]["name"], body["model"]["provider"]) == ("tiny", "CPUExecutionProvider")
    (image,) = body["images"]
    assert (image["index"], image["frame"]) == (0, 0)
    assert (image["height"], image["width"]) == shape
    assert image["sha256"] == hashlib.sha256(data).hexdigest()
    assert image["instances"]
    for instance in image["instances"]:
        mask = decoded(instance)
        assert mask.shape == shape
        assert int(mask.sum()) == instance["area"] > 0
        rows, columns = np.nonzero(mask)
        left, top = columns.min(), rows.min()
        size = [columns.max() - left + 1, rows.max() - top + 1]
        assert instance["bbox"] == [left, top, *size]
    scores = [instance["score"] for instance in image["instances"]]
    assert scores == sorted(scores, reverse=True)
    assert all(seconds >= 0 for seconds in image["timings"].values())


def test_no_content_type_is_sniffed(http: httpx.Client) -> None:
    assert http.post("/segment", content=FILES["png"][0]).status_code == 200


def test_grey_and_spacing_are_told(http: httpx.Client) -> None:
    data = dicom_file(FILM, WindowCenter=2048, WindowWidth=4096, ImagerPixelSpacing=[0.14, 0.15])
    image = http.post("/segment", content=data).json()["images"][0]
    assert image["grey"] == "window"
    assert image["pixel_spacing"] == {"row_mm": 0.14, "column_mm": 0.15, "source": "detector"}
    image = http.post("/segment", content=FILES["png"][0]).json()["images"][0]
    assert (image["grey"], image["pixel_spacing"]) == ("as_stored", None)


def test_threshold_and_count_choose_instances(http: httpx.Client) -> None:
    def found(**query: float) -> list[float]:
        answer = http.post("/segment", content=FILES["deep png"][0], params=query).json()
        return [instance["score"] for instance in answer["images"][0]["instances"]]

    both = found()
    assert len(both) == 2
    assert found(max_instances=1) == both[:1]
    assert found(max_instances=100_000) == both
    assert found(score_threshold=(both[0] + both[1]) / 2) == both[:1]
    assert found(score_threshold=1) == []


def test_a_frame_is_chosen(http: httpx.Client) -> None:
    data = dicom_file(np.stack([flat(0), flat(255)]))
    for frame in (0, 1):
        image = http.post("/segment", content=data, params={"frame": frame}).json()["images"][0]
        assert image["frame"] == frame
        assert image["instances"][0]["score"] == pytest.approx(expected_scores(frame)[frame == 0])


def test_a_form_answers_in_order_with_errors_in_place(http: httpx.Client) -> None:
    parts = [
        ("a", ("1.png", png(flat(255)), "image/png")),
        ("a", ("2", b"junk", "application/octet-stream")),
        ("b", ("3.dcm", dicom_file(flat(128)), "application/dicom")),
        ("c", ("4.txt", b"text", "text/plain")),
    ]
    answer = http.post("/segment", files=parts)
    assert answer.status_code == 200
    images = answer.json()["images"]
    assert [image["index"] for image in images] == [0, 1, 2, 3]
    assert ["error" in image for image in images] == [False, True, False, True]
    assert [images[1]["error"]["status"], images[3]["error"]["status"]] == [400, 415]
    assert images[1]["error"]["request_id"] == answer.headers["x-request-id"]
    for image, (_, (_, data, _)) in zip(images, parts, strict=True):
        assert image["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_form_of_bad_files_alone_has_the_status_of_the_first(http: httpx.Client) -> None:
    parts = [("f", ("1", b"text", "text/plain")), ("f", ("2", b"junk", "image/png"))]
    answer = http.post("/segment", files=parts)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert [image["error"]["status"] for image in answer.json()["images"]] == [415, 400]


def test_at_once_every_answer_belongs_to_its_image(
    http: httpx.Client, service: ServiceProcess
) -> None:
    greys = list(range(40))

    def ask(grey: int) -> tuple[int, dict[str, Any]]:
        data = png(flat(grey * 6, 64 + grey, 64 + grey))
        answer = httpx.post(f"{service.url}/segment", content=data, timeout=30)
        assert answer.status_code == 200, answer.text
        return grey, answer.json()["images"][0]

    with ThreadPoolExecutor(8) as threads:
        for grey, image in threads.map(ask, greys):
            assert image["height"] == 64 + grey
            scores = dict(zip(("bright", "dark"), expected_scores(grey * 6 / 255), strict=True))
            for instance in image["instances"]:
                assert instance["score"] == pytest.approx(scores[instance["label"]], abs=1e-5)
