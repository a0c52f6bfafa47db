"""HTTP servers in threads of a test: a service that makes results, an archive that takes them."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage

Reply = tuple[int, dict[str, str], bytes]
_NAMESPACE = uuid.UUID("5f0b64d7-9d3c-4f6c-8a57-0f4c1c0d9c11")
DICOM = {"Content-Type": "application/dicom"}


def result_uid(film_uid: str) -> str:
    """The UID of a film's result: the same each time."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, film_uid).int}"


def minimal_seg(film: bytes) -> bytes:
    """A SEG object of one frame and one segment that refers to a film."""
    source = dcmread(BytesIO(film), stop_before_pixels=True)
    seg = Dataset()
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"):
        setattr(seg, keyword, source.get(keyword, ""))
    for keyword in ("StudyDate", "StudyTime", "StudyID", "AccessionNumber"):
        setattr(seg, keyword, source.get(keyword, ""))
    seg.StudyInstanceUID = source.StudyInstanceUID
    seg.SeriesInstanceUID = result_uid(f"{source.SOPInstanceUID}|series")
    seg.SOPInstanceUID = result_uid(source.SOPInstanceUID)
    seg.SOPClassUID = SegmentationStorage
    seg.Modality, seg.Manufacturer, seg.SeriesNumber = "SEG", "SOLO X-ray", 1
    seg.Rows, seg.Columns, seg.NumberOfFrames = 8, 8, 1
    seg.SamplesPerPixel, seg.PhotometricInterpretation, seg.PixelRepresentation = (
        1,
        "MONOCHROME2",
        0,
    )
    seg.BitsAllocated, seg.BitsStored, seg.HighBit = 1, 1, 0
    seg.PixelData = bytes(8)
    seg.file_meta = FileMetaDataset()
    seg.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    output = BytesIO()
    dcmwrite(output, seg, enforce_file_format=True)
    return output.getvalue()


def problem(status: int, kind: str, **headers: str) -> Reply:
    """A problem as the service answers it."""
    body = json.dumps({"type": f"urn:solo-xray:problem:{kind}", "status": status})
    return status, {"Content-Type": "application/problem+json", **headers}, body.encode()


@dataclass
class StubService:
    """`POST /segment` with minimal results, until `answer` is replaced.

    Attributes:
        answer: a film to a reply.
        films: how many films came.
        model: what `GET /model` answers.
        paths: what was asked for.
    """

    answer: Callable[[bytes], Reply] = lambda film: (200, DICOM, minimal_seg(film))
    films: int = 0
    model: dict[str, Any] = field(
        default_factory=lambda: {"class_names": ["lung"], "class_codes": [{"type": {}}]}
    )
    url: str = ""
    paths: list[str] = field(default_factory=list)

    def reply(self, method: str, path: str, body: bytes) -> Reply:
        self.paths.append(path)
        if method == "GET":
            return 200, {"Content-Type": "application/json"}, json.dumps(self.model).encode()
        self.films += 1
        return self.answer(body)


@dataclass
class StubArchive:
    """STOW-RS in memory, which keeps the first object of each UID, until `answer` is replaced.

    Attributes:
        answer: an object's UID to a reply.
        stored: objects by UID.
    """

    answer: Callable[[str], Reply] | None = None
    stored: dict[str, bytes] = field(default_factory=dict)
    url: str = ""

    def reply(self, method: str, path: str, body: bytes) -> Reply:
        begin = body.index(b"\r\n\r\n") + 4
        part = body[begin : body.rindex(b"\r\n--")]
        uid = str(dcmread(BytesIO(part), stop_before_pixels=True).SOPInstanceUID)
        if self.answer is not None:
            return self.answer(uid)
        self.stored.setdefault(uid, part)
        return stow_answer(200, uid)


def stow_answer(status: int, *uids: str, failed: tuple[str, ...] = ()) -> Reply:
    """A Store Instances Response that lists these UIDs."""
    document: dict[str, Any] = {}
    for tag, listed in (("00081199", uids), ("00081198", failed)):
        items = [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in listed]
        document[tag] = {"vr": "SQ", "Value": items}
    return status, {"Content-Type": "application/dicom+json"}, json.dumps(document).encode()


@contextmanager
def running(stub: StubService | StubArchive) -> Iterator[str]:
    """Serves a stub on a free port, and gives its URL.

    A status of 0 hangs up, -1 says nothing, -2 resets the connection.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, content = stub.reply(method, self.path, body)
            if status <= 0:
                self.close_connection = True
                if status == -1:
                    time.sleep(30)
                elif status == -2:
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.connection.close()
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    stub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stub.url
    finally:
        server.shutdown()
        server.server_close()


def sample(text: str, name: str, **labels: str) -> float:
    """The value of one sample of Prometheus' text format, 0 where there is none."""
    wanted = "".join(f'(?=[^}}]*{label}="{value}")' for label, value in labels.items())
    braces = rf"\{{{wanted}[^}}]*\}}" if labels else r"(?:\{\})?"
    found = re.search(rf"^{name}{braces} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0
