from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable

import pytest
from starlette.requests import Request
from starlette.types import Message

from app.errors import BodyTooLargeError, UnsupportedMediaTypeError
from app.http.body_limits import BodyLimits
from app.http.parameters import read_headers
from app.http.upload import MAX_PARTS, Upload, UploadedFile, read_upload
from solo.errors import EmptyError, MalformedError, SoloError

pytestmark = pytest.mark.anyio

FORM = 'multipart/form-data; boundary="a boundary"'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def request(chunks: Iterable[bytes], content_type: str | None, **headers: str) -> Request:
    given = {**({"content-type": content_type} if content_type is not None else {}), **headers}

    async def messages() -> AsyncIterator[Message]:
        for chunk in chunks:
            yield {"type": "http.request", "body": chunk, "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    source = messages()
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in given.items()
        ],
    }
    return Request(scope, source.__anext__)


async def read(body: bytes, content_type: str | None, limit: int = 10**6, step: int = 7) -> Upload:
    chunks = [body[start : start + step] for start in range(0, len(body), step)]
    return await receive(request(chunks, content_type), limit)


async def receive(sent: Request, limit: int) -> Upload:
    with BodyLimits(limit, limit, seconds=20).incoming() as body:
        return await read_upload(sent, read_headers(sent), body)


def part(data: bytes, *, filename: str | None = "f", content_type: str | None = None) -> bytes:
    name = f'; filename="{filename}"' if filename is not None else ""
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    head = f'--a boundary\r\nContent-Disposition: form-data; name="x"{name}\r\n{kind}\r\n'
    return head.encode() + data + b"\r\n"


END = b"--a boundary--\r\n"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/dicom",
        "image/png",
        "IMAGE/JPEG",
        "application/octet-stream; x=y",
        'application/dicom; transfer-syntax="1.2.840.10008.1.2.1"',
        "",
        None,
    ],
)
async def test_a_raw_body_is_one_file(content_type: str | None) -> None:
    upload = await read(b"some bytes", content_type)
    assert [b"".join(file.pieces) for file in upload.files] == [b"some bytes"]
    assert not upload.in_parts


@pytest.mark.parametrize("content_type", ["text/plain", "image/bmp", "application/json"])
async def test_another_media_type_is_named(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match=content_type):
        await read(b"some bytes", content_type)


async def test_a_compressed_body_is_refused() -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="compressed"):
        await receive(request([b"x"], "image/png", content_encoding="gzip"), 100)


async def test_the_byte_limit_holds_whatever_the_header_says() -> None:
    assert (await read(bytes(100), None, limit=100)).files[0].length == 100
    with pytest.raises(BodyTooLargeError, match="more than the 100"):
        await read(bytes(101), None, limit=100)
    announced = request(iter(()), None, content_length="101")
    with pytest.raises(BodyTooLargeError, match="has 101 bytes"):
        await receive(announced, 100)
    lying = request([bytes(60), bytes(60)], None, content_length="5")
    with pytest.raises(BodyTooLargeError):
        await receive(lying, 100)


async def test_an_endless_body_is_not_read_to_its_end() -> None:
    read_chunks = []

    def endless() -> Iterable[bytes]:
        while True:
            read_chunks.append(1)
            yield bytes(50)

    with pytest.raises(BodyTooLargeError):
        await receive(request(endless(), None), 100)
    assert len(read_chunks) == 3


@pytest.mark.parametrize("step", [1, 7, 10_000])
async def test_parts_come_in_order_however_they_are_cut(step: int) -> None:
    files = [b"\r\n--a boundar", b"", b"--", bytes(range(256))]
    body = b"".join(map(part, files)) + END
    upload = await read(body, FORM, step=step)
    assert upload.in_parts
    assert [b"".join(file.pieces) for file in upload.files] == files


async def test_fields_are_passed_over_and_bad_types_stay_in_place() -> None:
    body = (
        part(b"0.5", filename=None)
        + part(b"one", content_type="image/png")
        + part(b"two", content_type="text/plain")
        + part(b"three", filename=None, content_type="application/dicom")
        + END
    )
    files = (await read(body, FORM)).files
    assert [b"".join(file.pieces) for file in files] == [b"one", b"two", b"three"]
    assert [file.refusal is None for file in files] == [True, False, True]
    assert isinstance(files[1].refusal, UnsupportedMediaTypeError)


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (END, FORM, EmptyError),
        (b"", FORM, MalformedError),
        (part(b"1", filename=None) + END, FORM, EmptyError),
        (part(b"cut"), FORM, MalformedError),
        (part(b"x") + END, "multipart/form-data", MalformedError),
        (part(b"x") + END, "multipart/form-data; boundary=other", MalformedError),
        (b"--a boundary\r\nnonsense\r\n\r\n" + END, FORM, MalformedError),
        (part(b"") * (MAX_PARTS + 1) + END, FORM, BodyTooLargeError),
        (part(b"", filename="x" * 10_000) + END, FORM, BodyTooLargeError),
    ],
)
async def test_a_bad_form_is_refused(
    body: bytes, content_type: str, expected: type[SoloError]
) -> None:
    with pytest.raises(expected):
        await read(body, content_type, step=4096)


async def test_a_file_name_is_in_no_error() -> None:
    with pytest.raises(SoloError) as caught:
        await read(part(b"x", filename="Planted.dcm"), FORM)
    assert "Planted" not in caught.value.detail


async def test_the_hash_is_of_all_pieces() -> None:
    file = UploadedFile([b"ab", b"", b"c"])
    assert file.length == 3
    assert file.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert UploadedFile([]).length == 0
