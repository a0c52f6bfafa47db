"""Heads of films: which object one says that it is, and whether it is one of ours."""

from __future__ import annotations

import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from pynetdicom import AE, build_context

from gateway.dicom_objects import Head
from solo.formats.dicom.objects import encode_dicom
from tests.support.dicom import dicom_file
from tests.support.dicom_results import coded_manifest, half, hospital_film, result_of
from tests.support.gateways import film, gateway
from tests.support.stub_servers import StubArchive, StubService, running, sample

DX = DigitalXRayImageStorageForPresentation
OTHER_OBJECT = 0xA900
SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
)
PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda one: one.name)
def test_a_head_in_each_encoding(syntax: UID) -> None:
    data = dicom_file(PIXELS, syntax=syntax, SOPInstanceUID="1.2.3", Manufacturer="Maker ")
    assert Head.read(data) == Head(str(DX), "1.2.3", "Maker")


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda one: one.name)
def test_an_own_object_in_each_encoding(syntax: UID) -> None:
    data = dicom_file(PIXELS, syntax=syntax, Manufacturer="SOLO X-ray")
    assert Head.read(data).is_own()


@pytest.mark.parametrize("kind", ["seg", "gsps", "sc"])
def test_what_the_writer_writes_is_own(kind: Any) -> None:
    result = result_of(hospital_film(), [half()])
    assert Head.read(encode_dicom(result, kind, coded_manifest())).is_own()
    assert not Head.read(hospital_film(Manufacturer="SOLO X-ray 2")).is_own()


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda one: one.name)
def test_a_head_may_be_cut_anywhere(syntax: UID) -> None:
    whole = dicom_file(PIXELS, syntax=syntax, Manufacturer="SOLO X-ray")
    for cut in range(0, len(whole), 5):
        assert isinstance(Head.read(whole[:cut]).is_own(), bool)
    assert Head.read(b"GIF89a" * 100) == Head()


def test_a_few_bytes_are_not_inflated_to_gigabytes() -> None:
    syntax = DeflatedExplicitVRLittleEndian
    whole = dicom_file(PIXELS, syntax=syntax)
    body_offset = whole.index(syntax.encode()) + len(syntax)
    element = b"\x08\0\x05\0LT\0\0" + (2**32 - 2).to_bytes(4, "little")
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflater.compress(element + bytes(100 * 2**20)) + deflater.flush()
    tracemalloc.start()
    assert Head.read(whole[:body_offset] + bomb) == Head()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("changed", ["MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"])
def test_a_film_that_is_not_what_its_sender_names(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PS3.4 B.2.3: data set does not match SOP class."""
    monkeypatch.setattr("pynetdicom._config.STORE_SEND_CHUNKED_DATASET", True)  # the file as it is
    named = dcmread(BytesIO(film()))
    path, other = tmp_path / "film.dcm", tmp_path / "other.dcm"
    named.file_meta.MediaStorageSOPInstanceUID = named.SOPInstanceUID
    named.save_as(path)
    value = ComputedRadiographyImageStorage if changed.endswith("ClassUID") else UID("1.2.3.4")
    setattr(named.file_meta, changed, value)
    named.save_as(other, enforce_file_format=False)
    service, archive = StubService(), StubArchive()
    with (
        running(service) as url,
        running(archive) as archive_url,
        gateway(tmp_path / "log", service_url=url, dicomweb_url=archive_url, max_films=1) as one,
    ):
        contexts = [
            build_context(uid, ExplicitVRLittleEndian)
            for uid in (DX, ComputedRadiographyImageStorage)
        ]
        association = AE("TEST").associate("127.0.0.1", one.port, contexts, "SOLO")
        statuses = [association.send_c_store(file).Status for file in (other, other, path)]
        association.release()
        assert statuses == [OTHER_OBJECT, OTHER_OBJECT, 0]
        assert service.films == len(archive.stored) == 1
        name = "solo_gateway_failures_total"
        assert sample(one.metrics(), name, reason="other-object") == 2
