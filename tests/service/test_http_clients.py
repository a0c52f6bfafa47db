"""Clients of other languages, as they come, post a film and get masks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ServiceProcess, serving
from tests.support.raw_http import exchange

ROOT = Path(__file__).parents[2]
FILM = ROOT / "examples/chest.dcm"
PROGRAMS = Path(__file__).parents[1] / "support/http_clients"
WRITE_OUT = "\n%{http_code} %{http_version}\n"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with serving(tmp_path_factory.mktemp("real") / "output", decode_workers=1) as running:
        yield running


def said(*command: str | Path) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    environment = os.environ | {"JAVA_TOOL_OPTIONS": ""}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True, env=environment
    )
    return done.stdout


def has_two_lungs(answer: str) -> bool:
    (image,) = json.loads(answer)["images"]
    return [instance["label"] for instance in image["instances"]] == ["lung", "lung"]


@pytest.mark.parametrize(
    "command", [("java", PROGRAMS / "Post.java"), ("node", PROGRAMS / "post.mjs")], ids=str
)
def test_a_client_posts_two_films(real: ServiceProcess, command: tuple[str | Path, ...]) -> None:
    answers = said(*command, f"{real.url}/segment", FILM).splitlines()
    assert len(answers) == 2
    for answer in answers:
        status, _, body = answer.partition(" ")
        assert status == "200"
        assert has_two_lungs(body)


@pytest.mark.parametrize("option", ["--http2", "--http1.1", "--http1.0", "-HExpect:", "-HHost: x"])
def test_curl_posts_a_film(real: ServiceProcess, option: str) -> None:
    kind = "-HContent-Type: application/dicom"
    url = f"{real.url}/segment"
    body, status = said(
        "curl", "-s", option, kind, "--data-binary", f"@{FILM}", "-w", WRITE_OUT, url
    ).splitlines()
    assert status == "200 1.1"
    assert has_two_lungs(body)


def dotnet(head: bytes, body: bytes) -> bytes:
    """A request as .NET's HttpClient writes it."""
    return b"POST /segment HTTP/1.1\r\nHost: localhost:8000\r\n" + head + b"\r\n\r\n" + body


def multipart(film: bytes) -> bytes:
    """Of `MultipartFormDataContent`: the boundary in quotes, and names without them."""
    return (
        b'--3c2d\r\nContent-Disposition: form-data; name=file; filename=a.dcm; filename*="'
        b"utf-8''a.dcm\"\r\n\r\n" + film + b"\r\n--3c2d--\r\n"
    )


def test_the_bytes_of_dotnet_are_read(real: ServiceProcess) -> None:
    film = FILM.read_bytes()
    form = multipart(film)
    quoted = b'Content-Type: multipart/form-data; boundary="3c2d"\r\n'
    close, length = b"Connection: close\r\n", b"Content-Length: %d" % len(film)
    offer = b"Upgrade: h2c\r\nConnection: Upgrade, close\r\n"
    half = len(film) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in (film[:half], film[half:], b""))
    requests = {
        "form": dotnet(quoted + close + b"Content-Length: %d" % len(form), form),
        "stream": dotnet(close + b"Transfer-Encoding: chunked", chunks),
        "question": dotnet(b"Expect: 100-continue\r\n" + close + length, film),
        "offer": dotnet(offer + length, film),
    }
    for name, request in requests.items():
        head, _, body = request.partition(b"\r\n\r\n")
        heard = exchange(real.url, head + b"\r\n\r\n", body)
        assert heard.statuses == [200], name
        assert has_two_lungs(heard.raw.rpartition(b"\r\n\r\n")[2].decode())
        assert (b"HTTP/1.1 100 Continue" in heard.raw) == (name == "question")
