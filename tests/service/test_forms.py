from __future__ import annotations

import json

import cv2
import httpx
import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco_mask

from solo.contract.manifest import RESEARCH_USE_ONLY
from tests.support.dicom import INSTANCE_UID, PATIENT_ID, PATIENT_NAME, dicom_file
from tests.support.films import chest, png

FILM = chest(300, 240)
DICOM = dicom_file(FILM)


def picture(answer: httpx.Response) -> npt.NDArray[np.uint8]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(image, np.uint8)


def test_forms_of_json_agree(http: httpx.Client) -> None:
    forms = {
        form: http.post(f"/segment?format={form}", content=DICOM).json()["images"][0]["instances"]
        for form in ("rle", "uncompressed-rle", "polygons")
    }
    default = http.post("/segment", content=DICOM).json()["images"][0]["instances"]
    assert default == forms["rle"]
    for compressed, plain, outlined in zip(*forms.values(), strict=True):
        mask = coco_mask.decode(compressed["segmentation"])
        runs = plain["segmentation"]
        np.testing.assert_array_equal(
            coco_mask.decode(coco_mask.frPyObjects(runs, *runs["size"])), mask
        )
        parts = coco_mask.merge(coco_mask.frPyObjects(outlined["segmentation"], *runs["size"]))
        drawn = coco_mask.decode(parts) > 0
        assert ((mask > 0) & ~drawn).sum() < 0.03 * mask.sum()  # holes are filled, so one way only
        assert plain["bbox"] == outlined["bbox"] == compressed["bbox"]


def test_pictures_come_by_format_and_by_accept(http: httpx.Client) -> None:
    by_format = http.post("/segment?format=overlay", content=DICOM)
    by_accept = http.post("/segment", content=DICOM, headers={"accept": "image/png"})
    np.testing.assert_array_equal(picture(by_format), picture(by_accept))
    assert picture(by_format).shape == (*FILM.shape, 3)
    labels = picture(http.post("/segment?format=label-map", content=DICOM))
    assert labels.shape == FILM.shape
    instances = http.post("/segment", content=DICOM).json()["images"][0]["instances"]
    best = coco_mask.decode(instances[0]["segmentation"]) > 0
    np.testing.assert_array_equal(labels == 1, best)


def test_pictures_name_the_model_and_nothing_of_the_patient(http: httpx.Client) -> None:
    for form in ("overlay", "label-map"):
        answer = http.post(f"/segment?format={form}", content=DICOM)
        assert RESEARCH_USE_ONLY.encode() in answer.content
        assert answer.headers["x-request-id"].encode() in answer.content
        for secret in (PATIENT_NAME, PATIENT_ID, INSTANCE_UID):
            assert secret.encode() not in answer.content
            assert secret not in json.dumps(dict(answer.headers))


def test_a_picture_of_a_bad_file_or_of_several_is_a_problem(http: httpx.Client) -> None:
    bad = http.post("/segment?format=overlay", content=b"nothing")
    assert (bad.status_code, bad.headers["content-type"]) == (400, "application/problem+json")
    good = png(np.zeros((8, 8), np.uint8))
    one = {"film": ("a", good, "image/png")}
    assert picture(http.post("/segment?format=label-map", files=one)).shape == (8, 8)
    several = [("film", ("a", good, "image/png"))] * 2
    refused = http.post("/segment?format=overlay", files=several)
    assert refused.status_code == 422
    assert "2 files" in refused.json()["detail"]
    broken = {"film": ("a", b"nothing", "image/png")}
    assert http.post("/segment?format=overlay", files=broken).status_code == 400


def test_fields_and_empty_inputs_are_no_films(http: httpx.Client) -> None:
    """As .NET and Java send fields, and browsers an input that was left empty."""
    form = {
        "note": (None, b"hello", "text/plain; charset=utf-8"),
        "about": (None, b"{}", "application/json"),
        "film": ("R\xf6ntgen.dcm", DICOM, "application/dicom"),
    }
    request = http.build_request("POST", "/segment", files=form)
    request.read()
    end = request.content[: request.content.index(b"\r\n")]
    empty = b'\r\nContent-Disposition: form-data; name="x"; filename=""\r\n\r\n\r\n'
    kind = {"content-type": request.headers["content-type"]}
    body = end + empty + request.content
    (image,) = http.post("/segment", content=body, headers=kind).json()["images"]
    assert (image["index"], image["height"]) == (0, FILM.shape[0])
    drawn = http.post("/segment?format=overlay", content=body, headers=kind)
    assert picture(drawn).shape == (*FILM.shape, 3)


@pytest.mark.parametrize("kind", ["text/plain", "image/jpg", "binary/octet-stream", "Film; a"])
def test_a_media_type_changes_no_answer(http: httpx.Client, kind: str) -> None:
    plain, called = (
        http.post("/segment?format=label-map", content=DICOM, headers=headers)
        for headers in ({}, {"content-type": kind, "content-encoding": "Identity"})
    )
    np.testing.assert_array_equal(picture(called), picture(plain))


@pytest.mark.parametrize(
    ("query", "text"),
    [("format=pdf", "'polygons'"), ("max_overlap=2", "max_overlap is 2"), ("max_overlap=x", "max")],
)
def test_a_bad_parameter_is_named(http: httpx.Client, query: str, text: str) -> None:
    answer = http.post(f"/segment?{query}", content=DICOM)
    assert answer.status_code == 422
    assert text in answer.json()["detail"]
    assert "pdf" not in answer.text


def test_forms_and_their_parameters_are_documented(http: httpx.Client) -> None:
    operation = http.get("/openapi.json").json()["paths"]["/segment"]["post"]
    assert set(operation["responses"]["200"]["content"]) == {
        *("application/json", "image/png", "application/dicom"),
        *("multipart/form-data", "multipart/related"),
    }
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert {"format", "max_overlap", "pixels", "kinds", "beyond_standard"} <= names
