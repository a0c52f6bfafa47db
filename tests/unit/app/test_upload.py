from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable

import pytest
from starlette.requests import Request
from starlette.types import Message

from app.errors import BodyTooLargeError, UnsupportedMediaTypeError
from app.http.body_limits import BodyLimits
from app.http.media_types import UploadedFile
from app.http.parameters import read_headers
from app.http.upload import MAX_PARTS, Upload, read_upload
from solo.errors import EmptyError, MalformedError, SoloError
from tests.support.films import flat, png

pytestmark = pytest.mark.anyio

FORM = 'multipart/form-data; boundary="a boundary"'
FILM = png(flat(200))


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
            (name.replace("_", "-").encode(), value.encode("latin-1"))
            for name, value in given.items()
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


@pytest.mark.parametrize(
    "content_type",
    [
        "image/jpg",
        "image/pjpeg",
        "image/x-png",
        "image/tif",
        "application/x-dicom",
        "image/dicom",
        "binary/octet-stream",
        "text/plain; charset=utf-8",
        "application/x-www-form-urlencoded",
        "image/png, image/png",
        "/;;=",
        "R\xf6ntgen",
    ],
)
async def test_any_media_type_is_passed_over_where_the_bytes_are_a_film(content_type: str) -> None:
    (file,) = (await read(FILM, content_type)).files
    assert file.refusal is None


@pytest.mark.parametrize("content_type", ["text/plain", "image/bmp", "application/json; x=y"])
async def test_another_media_type_of_other_bytes_is_named(content_type: str) -> None:
    (file,) = (await read(b"some bytes", content_type)).files
    assert isinstance(file.refusal, UnsupportedMediaTypeError)
    assert f"media type {content_type.partition(';')[0]} is not" in file.refusal.detail


async def test_a_body_without_bytes_is_told_as_empty_whatever_its_type() -> None:
    (file,) = (await read(b"", "application/x-www-form-urlencoded")).files
    assert file.refusal is None


async def test_what_is_no_media_type_is_not_repeated() -> None:
    (file,) = (await read(b"some bytes", "Planted^Patient")).files
    assert file.refusal is not None
    assert "(malformed)" in file.refusal.detail


@pytest.mark.parametrize(
    "content_type", ["image/jpg", "IMAGE/X-PNG", "image/tif; x=y", "image/dicom", "", None]
)
async def test_the_bytes_of_a_known_type_are_left_to_the_decoder(content_type: str | None) -> None:
    for body in (b"some bytes", b"", FILM[:-9]):
        (file,) = (await read(body, content_type)).files
        assert file.refusal is None


@pytest.mark.parametrize("kind", ["related", "mixed", "x-mixed-replace", "form-data2"])
async def test_another_multipart_body_is_refused_before_it_is_read(kind: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match=f"multipart/{kind} is not .*form-data"):
        await receive(request(iter(()), f"Multipart/{kind}; boundary=x"), 100)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "identity, br", "deflate"])
async def test_a_compressed_body_is_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match=r"Content-Encoding [a-z]+ is not"):
        await receive(request([b"x"], "image/png", content_encoding=encoding), 100)


@pytest.mark.parametrize(
    "encoding", ["identity", "Identity", "", "identity,IDENTITY", " , ", "UTF-8", "7bit"]
)
async def test_a_body_that_is_not_compressed_may_say_so(encoding: str) -> None:
    sent = request([FILM], "image/png", content_encoding=encoding)
    assert (await receive(sent, 10_000)).files[0].length == len(FILM)


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


async def test_the_files_of_a_form_are_told_from_its_fields() -> None:
    fields = [
        part(b"0.5", filename=None),
        part(b"hello", filename=None, content_type="text/plain; charset=utf-8"),
        part(b"{}", filename=None, content_type="application/json"),
        part(b"", filename=None, content_type="text/plain"),
        part(b"hello", filename="", content_type="text/plain"),
        part(b"", filename="", content_type="application/octet-stream"),  # an input left empty
        part(b"", filename="", content_type="image/png"),
        part(b"", filename=""),
    ]
    files = [
        part(b"one", content_type="image/png"),
        part(b"two", filename=None, content_type="application/dicom"),
        part(b"four", filename="", content_type="image/jpg"),
        part(FILM, filename=None),
        part(FILM, filename=None, content_type="text/plain"),
        part(FILM, filename=""),
        part(FILM, content_type="text/plain"),
        part(b"", content_type="image/png"),
    ]
    mixed = [piece for pair in zip(files, fields, strict=False) for piece in pair]
    found = (await read(b"".join([*mixed, *files[len(fields) :]]) + END, FORM)).files
    sent = [b"one", b"two", b"four", FILM, FILM, FILM, FILM, b""]
    assert [b"".join(file.pieces) for file in found] == sent
    assert [file.refusal for file in found] == [None] * len(files)
    with pytest.raises(EmptyError, match="no files"):
        await read(b"".join(fields) + END, FORM)


async def test_a_named_part_of_other_bytes_is_refused_in_its_place() -> None:
    body = part(b"1", content_type="text/plain") + part(b"2", content_type="image/png") + END
    first, second = (await read(body, FORM)).files
    assert isinstance(first.refusal, UnsupportedMediaTypeError)
    assert second.refusal is None


UMLAUT = "R\xf6ntgen"
NAMES = {
    "latin-1": f'filename="{UMLAUT}.dcm"'.encode("latin-1"),
    "utf-8": f'filename="{UMLAUT}\u30ec.dcm"'.encode(),
    "shift-jis": 'filename="\u30ec\u30f3.dcm"'.encode("shift-jis"),
    "utf-16": b'filename="' + "R\xf6.dcm".encode("utf-16") + b'"',
    "rfc 5987": b"filename*=UTF-8''R%C3%B6ntgen.dcm",
    "both": f"filename={UMLAUT}; filename*=UTF-8''R%C3%B6ntgen.dcm".encode("latin-1"),
    "percent": b'filename="100%25 %22R%F6%22.dcm"',
    "quotes": b'filename="a \\"film\\".dcm"',
    "bare quotes": b'filename="a "film".dcm"',
    "path": b'filename="C:\\films\\a.dcm"',
    "backslash at the end": b'filename="C:\\films\\"',
    "no quotes": b"filename=a film; of a chest.dcm",
    "single quotes": b"filename='a.dcm'",
    "no end": b'filename="a.dcm',
    "semicolons": b'filename="a;b;filename=.dcm"',
    "control characters": b'filename="' + bytes(c for c in range(32) if c not in b"\n\r") + b'"',
    "long": b'filename="' + b"x" * 1000 + b'.dcm"',
    "very long": b'filename="' + b"%E3%83%AC" * 4000 + b'.dcm"',
    "folded": b"filename=\"a.dcm\";\r\n\tfilename*=UTF-8''a.dcm",
    "blanks": b'filename = "a.dcm" ',
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [1, 64, 10**6])
async def test_no_file_name_can_refuse_a_form(name: str, step: int) -> None:
    head = b'--a boundary\r\nContent-Disposition: form-data; name="x"; ' + NAMES[name]
    body = head + b"\r\nContent-Type: text/plain\r\n\r\njunk\r\n" + part(FILM) + END
    files = (await read(body, FORM, step=step)).files
    assert [b"".join(file.pieces) for file in files] == [b"junk", FILM]


@pytest.mark.parametrize("step", [1, 7, 10**6])
@pytest.mark.parametrize("blanks", [b" ", b"\t", b" \t  "])
async def test_blanks_behind_a_boundary_are_passed_over(blanks: bytes, step: int) -> None:
    kept = b"x--a boundary" + blanks + b"\r\n"  # not at the start of a line
    body = part(kept) + part(FILM) + END
    padded = b"a preamble\r\n" + body.replace(b"--a boundary\r\n", kept[1:]) + b"an epilogue"
    padded = padded.replace(END, b"--a boundary--" + blanks + b"\r\n")
    files = (await read(padded, FORM, step=step)).files
    assert [b"".join(file.pieces) for file in files] == [kept, FILM]


def parts(head: bytes, content: bytes) -> bytes:
    return b"--a boundary\r\n" + head + b"\r\n\r\n" + content + b"\r\n" + part(FILM) + END


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (b'Content-Disposition: form-data; name="x"; filename="blob"\r\n'
         b"Content-Type: application/json", b"{}"),
        (b'Content-Disposition: form-data; name="x"; filename="x"\r\n'
         b"Content-Type: application/fhir+json", b"{}"),
        (b'Content-Disposition: form-data; name="x"; filename="blob"\r\nContent-Type: text/plain',
         b"a note"),
        (b'Content-Disposition: form-data; name="x"\r\nContent-Type: application/octet-stream',
         b"4711"),
        (b'Content-Disposition: form-data; name="a; filename=x"', b"4711"),
        (b"Content-Disposition: form-data; name=\"x\"; filename=''", b""),
        (b'Content-Disposition: form-data; name="x"; filename=" "', b""),
        (b"Content-Disposition: form-data; name=\"x\"; filename=\"\"; filename*=utf-8''", b""),
        (b'Content-Disposition: form-data; name="x"\r\nContent-Type: image/png', b""),
        (b'Content-Disposition: form-data; name="x"; filename="blob"\r\n'
         b"Content-Type: application/json", b""),
    ],
)  # fmt: skip
async def test_a_field_and_an_empty_input_are_no_files(head: bytes, content: bytes) -> None:
    (file,) = (await read(parts(head, content), FORM)).files
    assert file.length == len(FILM)


@pytest.mark.parametrize(
    "head",
    [
        b'Content-Disposition: attachment; filename="a.dcm"',
        b"Content-Disposition: inline",
        b'Content-Disposition: "form-data"; name="x"; filename="a.dcm"',
        b"Content-Type: application/dicom",
        b"Content-Disposition: form-data; name=x; filename*=utf-8''r%C3%B6ntgen.dcm",
        b"Content-Disposition: form-data; name=x; filename=a\r\n"
        + b"\r\n".join(b"X-%d: y" % number for number in range(40)),
    ],
)
async def test_a_file_has_any_disposition_or_none(head: bytes) -> None:
    first, second = (await read(parts(head, FILM), FORM)).files
    assert first.length == second.length == len(FILM)


async def test_files_in_a_part_of_parts_are_not_lost_in_silence() -> None:
    head = b'Content-Disposition: form-data; name="x"\r\nContent-Type: multipart/mixed; boundary=y'
    with pytest.raises(UnsupportedMediaTypeError, match="a part of its own"):
        await read(parts(head, b"--y\r\n\r\n" + FILM + b"\r\n--y--"), FORM)


async def test_a_file_as_text_is_told_as_such() -> None:
    head = (
        b'Content-Disposition: form-data; name="x"; filename="a.dcm"\r\n'
        b"Content-Transfer-Encoding: base64"
    )
    first, second = (await read(parts(head, b"AAAA"), FORM)).files
    assert first.refusal is not None
    assert "base64" in first.refusal.detail
    assert second.refusal is None


async def test_a_form_without_a_boundary_is_told_what_is_wrong() -> None:
    with pytest.raises(MalformedError, match="names no boundary"):
        await read(part(FILM) + END, "multipart/form-data")


@pytest.mark.parametrize("boundary", ["----=_Part_1/2:3?", "==x==", "'a(b)+,-./:=?'", "x" * 70])
@pytest.mark.parametrize("quote", ["", '"'])
async def test_a_boundary_may_go_without_quotes(boundary: str, quote: str) -> None:
    body = (part(FILM) + END).replace(b"a boundary", boundary.encode())
    kind = f"multipart/form-data; charset=utf-8; Boundary={quote}{boundary}{quote} ; x=y"
    if "," not in boundary or quote:
        assert (await read(body, kind)).files[0].length == len(FILM)


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (END, FORM, EmptyError),
        (b"", FORM, MalformedError),
        (part(b"1", filename=None) + END, FORM, EmptyError),
        (part(b"cut"), FORM, MalformedError),
        (part(b"x") + END, "multipart/form-data", MalformedError),
        (part(b"x") + END, "multipart/form-data; boundary=", MalformedError),
        (part(b"x") + END, "multipart/form-data; boundary=other", MalformedError),
        (b"--a boundary\r\nnonsense\r\n\r\n" + END, FORM, MalformedError),
        (part(b"") * (MAX_PARTS + 1) + END, FORM, BodyTooLargeError),
        (part(b"", filename="x" * 100_000) + END, FORM, BodyTooLargeError),
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
