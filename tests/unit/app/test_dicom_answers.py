"""DICOM objects over HTTP: what is asked for, what comes, and what is refused."""

from __future__ import annotations

import io
import logging
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from app.http.parameters import negotiate_format
from solo.errors import InvalidParameterError
from tests.support.decoders import DecoderHere
from tests.support.dicom_results import IDENTITY, coded_manifest, hospital_film
from tests.support.engines import FakeEngine
from tests.support.films import chest
from tests.support.in_process import IMAGE, client

pytestmark = pytest.mark.anyio
FILM = hospital_film(chest())
DICOM = {"accept": "application/dicom"}
EXPLICIT = {"accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def ask(
    content: bytes = FILM, headers: dict[str, str] | None = None, **params: Any
) -> httpx.Response:
    engine = FakeEngine(document=coded_manifest())
    async with client(engine, DecoderHere()) as http:
        return await http.post("/segment", content=content, headers=headers, params=params)


async def asked(headers: dict[str, str] = DICOM, **params: Any) -> pydicom.FileDataset:
    answer = await ask(headers=headers, **params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    return pydicom.dcmread(io.BytesIO(answer.content))


@pytest.mark.parametrize(
    ("accept", "kinds", "form"),
    [
        ("application/dicom", None, "dicom"),
        ("Application/DICOM; transfer-syntax=*", None, "dicom"),
        ('multipart/related; type="application/dicom"', None, "dicom"),
        ("multipart/related; type=application/dicom", None, "dicom"),
        ("image/png, application/dicom", None, "dicom"),
        ("*/*", "seg", "dicom"),
        ("application/json", "gsps,sc", "dicom"),
        ("application/dicom, application/json", None, "rle"),
        ("application/dicom;q=0", None, "rle"),
        ("application/dicom+json", None, "rle"),
        ('multipart/related; type="image/png"', None, "rle"),
        ("multipart/related; type=application/dicom+json", None, "rle"),
    ],
)
def test_the_header_or_the_kinds_ask_for_dicom(accept: str, kinds: str | None, form: str) -> None:
    assert negotiate_format(None, accept, kinds) == form


def test_a_format_comes_before_the_header_and_not_beside_kinds() -> None:
    assert negotiate_format("polygons", "application/dicom") == "polygons"
    with pytest.raises(InvalidParameterError, match="two forms of the answer"):
        negotiate_format("polygons", "*/*", "seg")


async def test_one_object_comes_as_it_is() -> None:
    found = await asked()
    json = (await ask()).json()["images"][0]["instances"]
    assert found.Modality == "SEG"
    assert found.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    areas = np.reshape(found.pixel_array, (-1, 70 * 60)).sum(axis=1)
    assert areas.tolist() == [one["area"] for one in json]
    assert (await asked(EXPLICIT)).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (await asked({}, kinds="gsps")).Modality == "PR"
    assert (await asked({}, kinds="sc")).Modality == "OT"


@pytest.mark.parametrize("kinds", ["seg,gsps,sc", "sc,seg"])
async def test_several_come_in_parts_in_order(kinds: str) -> None:
    answer = await ask(kinds=kinds)
    media_type = answer.headers["content-type"]
    assert media_type.startswith('multipart/related; type="application/dicom"; boundary=')
    delimiter = b"--" + media_type.partition("boundary=")[2].encode()
    first, *parts, last = answer.content.split(delimiter)
    assert (first, last) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, body = part.partition(b"\r\n\r\n")
        assert head == b"\r\nContent-Type: application/dicom"
        assert body.endswith(b"\r\n")
        found.append(pydicom.dcmread(io.BytesIO(body[:-2])).Modality)
    named = {"seg": "SEG", "gsps": "PR", "sc": "OT"}
    assert found == [named[kind] for kind in kinds.split(",")]


async def test_a_kind_that_comes_twice_comes_once() -> None:
    assert (await asked({}, kinds="seg,seg")).Modality == "SEG"


async def test_uids_change_with_what_is_asked_for_alone() -> None:
    plain = {str((await asked(headers)).SOPInstanceUID) for headers in (DICOM, EXPLICIT, DICOM)}
    assert len(plain) == 1
    for params in ({"score_threshold": 0.3}, {"max_instances": 1}, {"max_overlap": 0.5}):
        plain.add(str((await asked(**params)).SOPInstanceUID))
    plain.add(str((await asked(beyond_standard="orientation")).SOPInstanceUID))
    assert len(plain) == 5


async def test_an_orientation_is_an_option() -> None:
    found = await asked(beyond_standard="orientation")
    assert "PlaneOrientationSequence" in found.SharedFunctionalGroupsSequence[0]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"kinds": "nifti"}, "kinds: String should match"),
        ({"kinds": ""}, "kinds: String should match"),
        ({"kinds": "seg", "format": "rle"}, "two forms of the answer"),
        ({"kinds": "seg", "pixels": "cells"}, "a DICOM object has none"),
        ({"kinds": "seg", "frame": "all"}, "a DICOM object is of one frame"),
        ({"beyond_standard": "everything"}, "beyond_standard: Input should be 'orientation'"),
    ],
)
async def test_what_cannot_be_asked_for_is_said(params: dict[str, Any], sentence: str) -> None:
    answer = await ask(**params)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (422, True)


async def test_another_transfer_syntax_is_refused() -> None:
    jpeg = {"accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50"}
    answer = await ask(headers=jpeg)
    assert answer.status_code == 422
    assert "ask for 1.2.840.10008.1.2.1.99 (deflated)" in answer.json()["detail"]
    either = {"accept": jpeg["accept"] + ", application/dicom; transfer-syntax=*"}
    assert (await asked(either)).Modality == "SEG"


@pytest.mark.parametrize(
    ("accept", "syntax"),
    [
        ("{explicit}; q=0.1, {deflated}; q=0.9", DeflatedExplicitVRLittleEndian),
        ("{deflated}; q=0.1, {explicit}", ExplicitVRLittleEndian),
        ("{explicit};q=0, application/dicom", DeflatedExplicitVRLittleEndian),
        ("{explicit}, {deflated}", ExplicitVRLittleEndian),
    ],
)
async def test_the_weight_of_a_transfer_syntax_counts(accept: str, syntax: UID) -> None:
    syntaxes = {"explicit": ExplicitVRLittleEndian, "deflated": DeflatedExplicitVRLittleEndian}
    named = {name: f"application/dicom; transfer-syntax={one}" for name, one in syntaxes.items()}
    assert (await asked({"accept": accept.format(**named)})).file_meta.TransferSyntaxUID == syntax


async def test_who_takes_parts_alone_gets_one() -> None:
    answer = await ask(headers={"accept": 'multipart/related; type="application/dicom"'})
    media_type = answer.headers["content-type"]
    assert media_type.startswith('multipart/related; type="application/dicom"; boundary=')
    delimiter = b"--" + media_type.partition("boundary=")[2].encode()
    _, part, end = answer.content.split(delimiter)
    head, _, body = part.partition(b"\r\n\r\n")
    assert (head, end) == (b"\r\nContent-Type: application/dicom", b"--\r\n")
    assert pydicom.dcmread(io.BytesIO(body[:-2])).Modality == "SEG"


async def test_several_files_are_refused() -> None:
    async with client() as http:
        files = [("files", FILM), ("files", FILM)]
        answer = await http.post("/segment", files=files, params={"kinds": "seg"})
    assert answer.status_code == 422
    assert "is of one file, but the request has 2" in answer.json()["detail"]


async def test_a_refused_film_is_refused_as_ever() -> None:
    answer = await ask(b"hello", DICOM)
    assert (answer.status_code, answer.json()["title"]) == (
        400,
        "The file or request is malformed",
    )
    assert (await ask(IMAGE, DICOM)).status_code == 422


@pytest.mark.parametrize("kinds", ["seg", "gsps", "sc"])
async def test_a_patient_is_in_the_object_alone(
    kinds: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        engine = FakeEngine(document=coded_manifest())
        async with client(engine, DecoderHere()) as http:
            answer = await http.post("/segment", content=FILM, params={"kinds": kinds})
            metrics = (await http.get("/metrics")).text
    found = pydicom.dcmread(io.BytesIO(answer.content))
    assert found.PatientName == IDENTITY["PatientName"]
    elsewhere = caplog.text + metrics + str(answer.headers)
    assert not any(value in elsewhere for name, value in IDENTITY.items() if len(value) > 1)
