"""Some 2,000 requests whose answers follow from their bytes alone, made in code.

They know the HTTP interface and the makers of files in `tests`, and nothing of the service's
modules: the same file runs on a revision with another layout.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.fuzz.corpus import corpus
from tests.fuzz.mutations import mutate
from tests.support.films import chest, png

ROOT = Path(__file__).parents[2]
REAL_FILMS = ROOT.parent / "shared" / "dicom"
BROKEN_OF_EACH = 40
FORMATS = ("rle", "uncompressed-rle", "polygons", "overlay", "label-map")
_BOUNDARY = "answers"
_PARAMETERS = (
    "score_threshold=0", "score_threshold=1", "max_instances=1", "max_overlap=0.1", "max_overlap=0",
    "lane=bulk", "score_threshold=0.3&max_instances=3&max_overlap=0.5", "frame=0-0", "frame=all",
    "frame=1", "frame=x", "score_threshold=7", "score_threshold=nan", "max_instances=0", "what=1",
    "format=gif", "lane=fast", "max_instances=1&max_instances=2", "frame=0-4&format=overlay",
)  # fmt: skip
_PATHS = (
    "/healthz/live", "/healthz/ready", "/model", "/openapi.json", "/docs", "/nowhere", "/segment",
    "/docs/files/swagger-ui.css",
)  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One request; its name is the same in every recording."""

    name: str
    path: str = "/segment"
    body: bytes = b""
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)


def calls(*, short: bool = False) -> Iterator[Call]:
    """All requests in their order.

    Args:
        short: without the broken files, for a model that costs more.
    """
    dicom = (ROOT / "examples" / "chest.dcm").read_bytes()
    for form in FORMATS:
        yield Call(f"example {form}", f"/segment?format={form}", dicom)
    for query in _PARAMETERS:
        yield Call(f"example {query}", f"/segment?{query}", dicom)
    yield Call("example png", body=(ROOT / "examples" / "chest.png").read_bytes())
    for path in sorted(REAL_FILMS.glob("*.dcm")):
        for form in FORMATS:
            yield Call(f"{path.name} {form}", f"/segment?format={form}", path.read_bytes())
    if short:
        return
    for page in _PATHS:
        yield Call(f"get {page}", page, method="GET")
    yield from _headers()
    yield from _forms()
    for name, data in corpus().items():
        yield Call(f"whole {name}", "/segment?score_threshold=0", data)
        yield Call(f"frames {name}", "/segment?frame=all&score_threshold=0.2", data)
        for number in range(BROKEN_OF_EACH):
            random = np.random.default_rng([1, zlib.crc32(name.encode()), number])
            yield Call(f"broken {name} {number}", "/segment", mutate(name, data, random))


def _headers() -> Iterator[Call]:
    film = png(chest(48, 40))
    types = (
        "application/dicom", "image/png", "image/jpeg", "image/tiff", "application/octet-stream",
        "text/plain", "image/gif", "application/json", "nonsense", "multipart/form-data",
        "image/png; charset=x", "",
    )  # fmt: skip
    for kind in types:
        yield Call(f"type {kind}", body=film, headers={"Content-Type": kind})
    accepts = ("image/png", "image/*", "application/json", "*/*", "image/png, application/json")
    for accept in accepts:
        yield Call(f"accept {accept}", body=film, headers={"Accept": accept})
    for seconds in ("5", "0", "-1", "x", "inf"):
        yield Call(f"timeout {seconds}", body=film, headers={"X-Request-Timeout-Seconds": seconds})
    yield Call("gzip", body=film, headers={"Content-Encoding": "gzip"})
    yield Call("empty")
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        yield Call(f"method {method}", method=method)


def _forms() -> Iterator[Call]:
    files = corpus()
    good, deep, frames = files["png grey"], files["dicom explicit"], files["dicom frames"]
    for name, parts in {
        "one": [good],
        "three": [good, deep, frames],
        "a bad one": [good, b"junk", deep],
        "all bad": [b"junk", b"", deep[:300]],
        "the same twice": [deep, deep],
    }.items():
        for query in ("", "?frame=all", "?format=polygons", "?format=label-map"):
            yield _form(f"form {name} {query}", f"/segment{query}", parts)
    yield _form("form none", "/segment", [])
    cut = _form("form cut", "/segment", [good])
    yield Call(cut.name, cut.path, cut.body[:-20], cut.method, cut.headers)


def _form(name: str, path: str, parts: list[bytes]) -> Call:
    body = b"".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="{index}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + part
        + b"\r\n"
        for index, part in enumerate(parts)
    )
    whole = body + f"--{_BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    return Call(name, path, whole, headers={"Content-Type": kind})
