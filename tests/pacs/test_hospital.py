"""The real service, gateway and archive: films of real machines, and what an archive does to us."""

from __future__ import annotations

import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from pydicom import dcmread

from tests.support.certificates import write_certificate
from tests.support.dicom_results import hospital_film
from tests.support.gateways import GatewayProcess, film, gateway, store, uid_of
from tests.support.orthanc import Orthanc, orthanc
from tests.support.processes import ServiceProcess, serving
from tests.support.senders import ACKNOWLEDGED, BUSY, storescu
from tests.support.stub_servers import (
    DICOM,
    Reply,
    StubService,
    minimal_seg,
    result_uid,
    running,
    sample,
)

pytestmark = pytest.mark.pacs
CHEST = Path("examples/chest.dcm")
SHARED = Path("../shared/dicom")


@pytest.fixture(scope="module")
def real_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with serving(tmp_path_factory.mktemp("service") / "log") as process:
        yield process


def test_a_film_sent_by_storescu_is_a_seg_of_its_study(
    real_service: ServiceProcess, archive: Orthanc, tmp_path: Path
) -> None:
    with gateway(
        tmp_path / "log",
        service_url=real_service.url,
        dicomweb_url=archive.dicomweb_url,
        results="seg,gsps,sc",
    ) as process:
        assert storescu(archive.dicom_port, CHEST, called="ORTHANC") == 0
        assert storescu(process.port, CHEST) == 0
        assert storescu(process.port, CHEST) == 0  # again
        (study,) = archive.get("/studies?expand")
        assert len(study["Series"]) == 4
        (seg,) = archive.instances("SEG")
        assert len(archive.instances("PR")) == len(archive.instances("OT")) == 1
        found = httpx.get(f"{archive.dicomweb_url}/instances?SOPInstanceUID={seg}").json()
        assert len(found) == 1
        # The secondary capture comes back, as archives send whatever they have.
        (capture,) = [one for one in archive.get("/instances?expand") if is_capture(archive, one)]
        path = tmp_path / "capture.dcm"
        path.write_bytes(httpx.get(f"{archive.url}/instances/{capture['ID']}/file").content)
        assert (
            subprocess.run(
                ["/usr/bin/storescu", "-xy", "-aec", "SOLO", "127.0.0.1", str(process.port), path],
                check=False,
            ).returncode
            == 0
        )
        assert sample(process.metrics(), "solo_gateway_films_total", outcome="own") == 1
        assert len(archive.get("/instances")) == 4


def is_capture(archive: Orthanc, instance: dict[str, Any]) -> bool:
    url = f"{archive.url}/instances/{instance['ID']}/metadata/SopClassUid"
    return httpx.get(url).text == "1.2.840.10008.5.1.4.1.1.7"


def test_films_are_pulled_and_results_are_not_pulled_again(
    real_service: ServiceProcess, archive: Orthanc, tmp_path: Path
) -> None:
    with gateway(
        tmp_path / "log",
        mode="pull",
        service_url=real_service.url,
        dicomweb_url=archive.dicomweb_url,
        orthanc_url=archive.url,
        cursor_file=tmp_path / "cursor",
        results="seg,sc",
    ) as process:
        wait_for(lambda: (tmp_path / "cursor").exists())
        archive.put(CHEST.read_bytes())
        archive.put(film(size=33))  # nothing in it
        wait_for(lambda: int((tmp_path / "cursor").read_text()) == last_change(archive))
        time.sleep(2)
        metrics = process.metrics()
        counts = {
            outcome: sample(metrics, "solo_gateway_films_total", outcome=outcome)
            for outcome in ("stored", "own", "failed", "later")
        }
        assert counts == {"stored": 1, "own": 1, "failed": 0, "later": 0}
        assert len(archive.instances("SEG")) == len(archive.instances("OT")) == 1


def last_change(archive: Orthanc) -> int:
    return int(archive.get("/changes?last")["Last"])


def wait_for(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is not here")
def test_films_of_real_machines(
    real_service: ServiceProcess, archive: Orthanc, tmp_path: Path
) -> None:
    """Each is stored, empty or refused, by pull, since dcmtk sends none of odd length."""
    with gateway(
        tmp_path / "log",
        mode="pull",
        service_url=real_service.url,
        dicomweb_url=archive.dicomweb_url,
        orthanc_url=archive.url,
        cursor_file=tmp_path / "cursor",
    ) as process:
        wait_for(lambda: (tmp_path / "cursor").exists())
        put = 0
        for path in sorted(SHARED.glob("*.dcm")):
            answer = httpx.post(f"{archive.url}/instances", content=path.read_bytes(), timeout=60)
            put += answer.status_code == 200 and answer.json()["Status"] == "Success"
        wait_for(lambda: int((tmp_path / "cursor").read_text()) == last_change(archive), 90)
        metrics = process.metrics()
        counts = {
            outcome: sample(metrics, "solo_gateway_films_total", outcome=outcome)
            for outcome in ("stored", "empty", "refused", "failed", "passed", "later")
        }
    print(put, "films", counts)
    assert counts["stored"] + counts["empty"] + counts["refused"] == put
    assert counts["stored"] == len(archive.instances("SEG"))


def test_an_archive_that_sends_gives_up_after_it_was_answered(tmp_path: Path) -> None:
    """Orthanc waits 10 s: it has to hear 0xA700 before, and to say that its job failed."""

    def slowly(data: bytes) -> Reply:
        time.sleep(9)
        return 200, DICOM, minimal_seg(data)

    service = StubService(answer=slowly)
    with running(service) as url, orthanc(tmp_path / "idle") as idle:
        process = GatewayProcess(tmp_path / "log", service_url=url, dicomweb_url=idle.dicomweb_url)
        modalities = {"solo": ["SOLO", "127.0.0.1", process.port]}
        with orthanc(tmp_path / "sender", DicomModalities=modalities) as sender:
            process.start()
            data = film()
            sender.put(data)
            (instance,) = sender.get("/instances")
            begun = time.monotonic()
            sent = httpx.post(f"{sender.url}/modalities/solo/store", content=instance, timeout=60)
            assert time.monotonic() - begun < 10
            assert sent.status_code == 500
            service.answer = StubService.answer
            wait_for(lambda: sample(process.metrics(), "solo_gateway_held") == 0)
            assert httpx.post(
                f"{sender.url}/modalities/solo/store", content=instance, timeout=60
            ).is_success
            assert idle.instances("SEG") == [result_uid(uid_of(data))]
            process.kill()


@pytest.mark.parametrize("syntax", ["deflated", "explicit"])
def test_results_go_by_c_store_where_there_is_no_dicomweb(
    real_service: ServiceProcess, archive: Orthanc, tmp_path: Path, syntax: str
) -> None:
    with gateway(
        tmp_path / "log",
        service_url=real_service.url,
        deliver_to="ae",
        destination=f"ORTHANC@127.0.0.1:{archive.dicom_port}",
        results="seg,gsps,sc",
        seg_syntax=syntax,
    ) as process:
        assert storescu(process.port, CHEST) == 0
        assert [len(archive.instances(one)) for one in ("SEG", "PR", "OT")] == [1, 1, 1]
        archive.kill()
        assert storescu(process.port, CHEST) == BUSY
        archive.start()
        assert storescu(process.port, CHEST) == 0
        assert len(archive.get("/instances")) == 3


def test_results_go_by_c_store_over_tls(
    real_service: ServiceProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("archive", "gateway"):
        write_certificate(tmp_path, name)
    tls = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(tmp_path / "archive.pem"),
        "DicomTlsPrivateKey": str(tmp_path / "archive.key"),
        "DicomTlsTrustedCertificates": str(tmp_path / "gateway.pem"),
    }
    with orthanc(tmp_path / "orthanc", **tls) as archive:
        settings: dict[str, object] = {
            "service_url": real_service.url,
            "deliver_to": "ae",
            "destination": f"ORTHANC@127.0.0.1:{archive.dicom_port}",
        }
        own = {
            "destination_tls": True,
            "tls_certificate": tmp_path / "gateway.pem",
            "tls_key": tmp_path / "gateway.key",
        }
        data = CHEST.read_bytes()
        with gateway(tmp_path / "plain", **settings) as process:
            assert storescu(process.port, CHEST) == BUSY
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gateway.pem"))
        client = ssl.create_default_context()
        with gateway(tmp_path / "stranger", **settings, **own) as process:
            assert store(process.port, data, tls_args=(client, "127.0.0.1")) == 0xA700
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "archive.pem"))
        with gateway(tmp_path / "log", **settings, **own) as process:
            assert store(process.port, data, tls_args=(client, "127.0.0.1")) == 0
        assert len(archive.instances("SEG")) == 1


@pytest.mark.parametrize(
    ("deliver_to", "syntax"), [("dicomweb", "deflated"), ("ae", "deflated"), ("ae", "explicit")]
)
def test_an_odd_number_of_pixels(
    real_service: ServiceProcess, archive: Orthanc, tmp_path: Path, deliver_to: str, syntax: str
) -> None:
    """169 x 211 pixels of 8 bits, and of 1 bit: archives drop an association for an odd length."""
    chest = dcmread(CHEST).pixel_array
    small = cv2.resize(chest, (211, 169), interpolation=cv2.INTER_AREA)
    grey = (small * (255 / small.max())).astype(np.uint8)
    path = tmp_path / "film.dcm"
    path.write_bytes(hospital_film(grey))
    with gateway(
        tmp_path / "log",
        service_url=real_service.url,
        dicomweb_url=archive.dicomweb_url,
        deliver_to=deliver_to,
        destination=f"ORTHANC@127.0.0.1:{archive.dicom_port}",
        results="seg,gsps,sc",
        seg_syntax=syntax,
    ) as process:
        assert storescu(process.port, path) == ACKNOWLEDGED
    assert [len(archive.instances(one)) for one in ("SEG", "PR", "OT")] == [1, 1, 1]
    for instance in archive.get("/instances"):
        data = httpx.get(f"{archive.url}/instances/{instance}/file").content
        read = dcmread(BytesIO(data))
        if read.Modality == "SEG":
            assert read.pixel_array.shape[-2:] == (169, 211)
            assert read.pixel_array.any()


def test_ten_senders_and_one_place(archive: Orthanc, tmp_path: Path) -> None:
    def slowly(data: bytes) -> Reply:
        time.sleep(3)
        return 200, DICOM, minimal_seg(data)

    service, paths = StubService(answer=slowly), [tmp_path / f"{n}.dcm" for n in range(10)]
    for path in paths:
        path.write_bytes(film())
    with (
        running(service) as url,
        gateway(
            tmp_path / "log", service_url=url, dicomweb_url=archive.dicomweb_url, max_films=1
        ) as process,
        ThreadPoolExecutor(10) as pool,
    ):

        def send(path: Path) -> int:
            return storescu(process.port, path)

        assert sorted(pool.map(send, paths)) == [ACKNOWLEDGED, *[BUSY] * 9]
        service.answer = StubService.answer
        for path in paths:
            wait_for(lambda path=path: send(path) == ACKNOWLEDGED)
        wanted = sorted(result_uid(uid_of(path.read_bytes())) for path in paths)
        assert sorted(archive.instances("SEG")) == wanted


def test_planted_names_are_in_the_results_alone(
    real_service: ServiceProcess, archive: Orthanc, tmp_path: Path
) -> None:
    chest = dcmread(CHEST)
    planted = {
        "PatientName": "PLANTED^NAME",
        "PatientID": "PLANTEDID",
        "AccessionNumber": "PLANTEDACC",
        "InstitutionName": "PLANTED HOSPITAL",
        "OperatorsName": "PLANTED^OPERATOR",
    }
    for keyword, value in planted.items():
        setattr(chest, keyword, value)
    path = tmp_path / "film.dcm"
    chest.save_as(path)
    state = tmp_path / "state"
    state.mkdir()
    with gateway(
        state / "log", service_url=real_service.url, dicomweb_url=archive.dicomweb_url
    ) as process:
        assert storescu(process.port, path) == 0
        written = process.metrics() + "".join(one.read_text() for one in state.iterdir())
        assert process.process is not None
        limits = Path(f"/proc/{process.process.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
    assert "stored" in written
    assert "PLANTED" not in written + real_service.log()
    (uid,) = archive.instances("SEG")
    (instance,) = archive.get("/instances")
    seg = dcmread(BytesIO(httpx.get(f"{archive.url}/instances/{instance}/file").content))
    assert seg.SOPInstanceUID == uid
    text = str(seg)
    assert {"PLANTED^NAME", "PLANTEDID", "PLANTEDACC"} == {
        value for value in planted.values() if value in text
    }


def test_a_cursor_beyond_the_archive_stops_the_gateway(
    service: StubService, archive: Orthanc, tmp_path: Path
) -> None:
    (tmp_path / "cursor").write_text("999999")
    process = GatewayProcess(
        tmp_path / "log",
        mode="pull",
        service_url=service.url,
        dicomweb_url=archive.dicomweb_url,
        orthanc_url=archive.url,
        cursor_file=tmp_path / "cursor",
    )
    process.start(wait=False)
    assert process.wait() == 1
    assert "another archive" in process.output.read_text()
