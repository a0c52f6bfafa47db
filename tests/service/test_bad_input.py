from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian

from tests.support.dicom import INSTANCE_UID, PATIENT_ID, PATIENT_NAME, dicom_file
from tests.support.films import chest, jpeg, png, png_header_only
from tests.support.processes import ServiceProcess

GREY = (chest() // 16).astype(np.uint8)
GOOD, DICOM = png(GREY), dicom_file(chest())
PNG_TYPE, DICOM_TYPE = "image/png", "application/dicom"
CT = dicom_file(chest(), SOPClassUID=CTImageStorage, Modality="CT")
NO_PIXELS = dicom_file(chest(), without=("PixelData",))
VIDEO_SYNTAX = DICOM.replace(
    b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x18\x001.2.840.10008.1.2.4.100\0"
)

CASES: dict[str, tuple[bytes, str, str, int, str]] = {
    # name: body, media type, query, status, kind of problem
    "empty": (b"", PNG_TYPE, "", 400, "empty"),
    "half a png": (GOOD[: len(GOOD) // 2], PNG_TYPE, "", 400, "truncated"),
    "png without its last bytes": (GOOD[:-20], PNG_TYPE, "", 400, "truncated"),
    "half a jpeg": (jpeg(GREY)[:-500], "image/jpeg", "", 400, "truncated"),
    "dicom without its last bytes": (DICOM[:-4000], DICOM_TYPE, "", 400, "truncated"),
    "dicom prefix alone": (DICOM[:140], DICOM_TYPE, "", 400, "truncated"),
    "text": (b"hello", "text/plain", "", 415, "unsupported-media-type"),
    "text called dicom": (b"hello", DICOM_TYPE, "", 400, "malformed"),
    "text called png": (b"hello", PNG_TYPE, "", 400, "malformed"),
    "text under an alias": (b"hello", "image/pjpeg", "", 400, "malformed"),
    "gif": (b"GIF89a" + bytes(20), "image/gif", "", 415, "unsupported-media-type"),
    "half a png called text": (GOOD[: len(GOOD) // 2], "text/plain", "", 400, "truncated"),
    "stow-rs": (GOOD, "multipart/related; boundary=x", "", 415, "unsupported-media-type"),
    "huge png": (png_header_only(40_000, 40_000), PNG_TYPE, "", 413, "image-too-large"),
    "huge dicom": (dicom_file(chest(), Rows=60_000, Columns=60_000), DICOM_TYPE, "", 413,
                   "image-too-large"),
    "long body": (bytes(2_000_001), PNG_TYPE, "", 413, "body-too-large"),
    "ct": (CT, DICOM_TYPE, "", 422, "not-segmentable"),
    "no pixels": (NO_PIXELS, DICOM_TYPE, "", 422, "not-segmentable"),
    "video syntax": (VIDEO_SYNTAX, DICOM_TYPE, "", 415, "unsupported-encoding"),
    "big endian cut": (dicom_file(chest(), syntax=ExplicitVRBigEndian)[:-99], DICOM_TYPE, "", 400,
                       "truncated"),
    "threshold of 7": (GOOD, PNG_TYPE, "score_threshold=7", 422, "invalid-parameter"),
    "threshold nan": (GOOD, PNG_TYPE, "score_threshold=nan", 422, "invalid-parameter"),
    "threshold of a name": (GOOD, PNG_TYPE, f"score_threshold={PATIENT_ID}", 422,
                            "invalid-parameter"),
    "minus one instance": (GOOD, PNG_TYPE, "max_instances=-1", 422, "invalid-parameter"),
    "frame 99": (DICOM, DICOM_TYPE, "frame=99", 422, "invalid-parameter"),
    "frame 1 of a png": (GOOD, PNG_TYPE, "frame=1", 422, "invalid-parameter"),
    "threshold twice": (GOOD, PNG_TYPE, "score_threshold=0&score_threshold=1", 422,
                        "invalid-parameter"),
    "frame of a nul": (GOOD, PNG_TYPE, "frame=0%00", 422, "invalid-parameter"),
    "unknown parameter": (GOOD, PNG_TYPE, f"{PATIENT_ID}=1", 422, "invalid-parameter"),
    "no form": (GOOD, "multipart/form-data", "", 400, "malformed"),
    "empty form": (b"--b--\r\n", "multipart/form-data; boundary=b", "", 400, "empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_a_problem_and_harms_nobody(http: httpx.Client, name: str) -> None:
    body, media_type, query, status, kind = CASES[name]
    answer = http.post(f"/segment?{query}", content=body, headers={"content-type": media_type})
    check_problem(answer, status, kind)
    assert http.post("/segment", content=GOOD).status_code == 200


def check_problem(answer: httpx.Response, status: int, kind: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:solo-xray:problem:{kind}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    for secret in (PATIENT_NAME, PATIENT_ID, INSTANCE_UID):
        assert secret not in answer.text


def test_unknown_paths_and_methods_are_problems(http: httpx.Client) -> None:
    check_problem(http.get(f"/{PATIENT_ID}"), 404, "not-found")
    wrong = http.get("/segment")
    check_problem(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "POST"


def test_what_a_parameter_was_is_said_if_it_was_a_number(http: httpx.Client) -> None:
    detail = http.post("/segment?score_threshold=7", content=GOOD).json()["detail"]
    assert "score_threshold is 7" in detail
    assert "less than or equal to 1" in detail


def test_nothing_of_the_patient_is_logged(service: ServiceProcess, http: httpx.Client) -> None:
    secrets = [PATIENT_NAME, PATIENT_ID, INSTANCE_UID, "Planted.dcm"]
    damaged = bytearray(DICOM)
    start = damaged.index(b"PLANTED-4711")
    damaged[start - 2 : start] = b"\xff\xff"  # a length beyond the file's end
    odd = dicom_file(chest(), WindowCenter=1, WindowWidth=2).replace(b"DX", b"D^")
    bodies: list[Any] = [DICOM, CT, NO_PIXELS, bytes(damaged), DICOM[:-1000], odd]
    for body in bodies:
        for media_type in (DICOM_TYPE, PNG_TYPE):
            query = f"/segment?frame=0&{PATIENT_ID}={PATIENT_NAME}"
            http.post(query, content=body, headers={"content-type": media_type})
            http.post("/segment", content=body, headers={"content-type": media_type})
        http.post("/segment", files={PATIENT_ID: ("Planted.dcm", body, DICOM_TYPE)})
    http.get(f"/{PATIENT_ID}?{INSTANCE_UID}", headers={"x-request-id": PATIENT_NAME})
    log = service.log()
    assert log.count('"event": "request"') > len(bodies) * 3
    assert not [secret for secret in secrets if secret.lower() in log.lower()]
