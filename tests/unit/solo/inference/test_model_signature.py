"""Signatures of models: what `ssh-keygen` writes is taken, and nothing else."""

from __future__ import annotations

import base64
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from solo.inference.engine import ModelError
from solo.inference.model_signature import check_signature
from tests.support.signing import fits, new_key, sign

# By OpenSSH 9.2: `ssh-keygen -Y sign -n solo-xray -f KEY MODEL`.
MODEL = b"the model that was signed\n"
PUBLIC = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBLpO0Hc3dtflKaqJyBv3gjHOj+rimGWtHvNMkF4m1Xd "
    "models of clinic-a\n"
)
SIGNATURE = """\
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgEuk7Qdzd21+UpqonIG/eCMc6P6
uKYZa0e80yQXibVd0AAAAJc29sby14cmF5AAAAAAAAAAZzaGE1MTIAAABTAAAAC3NzaC1l
ZDI1NTE5AAAAQDqBAceXiHmyXk7KaxUje2PtoGM4gI9FMGka2VL9alDbMLYm36AFgZV99S
ZCy05rJ3UoahhtI8ouinILwfkEjAk=
-----END SSH SIGNATURE-----
"""
SIGNED = base64.b64decode("".join(SIGNATURE.splitlines()[1:-1]))
OTHER_KIND = "is not one public key of `ssh-keygen -t ed25519"
NOT_BY_IT = "is no solo-xray signature by"
ANOTHER = "is not what was signed"
needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")


class Files:
    """A model, the key and the signature beside it, as recorded above."""

    def __init__(self, folder: Path) -> None:
        self.model, self.key = folder / "m.onnx", folder / "key.pub"
        self.signature = folder / "m.onnx.sig"
        self.key.write_text(PUBLIC)
        self.signature.write_text(SIGNATURE)

    def check(self, model: bytes = MODEL) -> None:
        check_signature(model, self.model, self.key)

    def refused(self, words: str, model: bytes = MODEL) -> None:
        with pytest.raises(ModelError, match=re.escape(words)) as caught:
            self.check(model)
        assert "\n" not in str(caught.value)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def armoured(content: bytes) -> str:
    text = base64.b64encode(content).decode()
    return f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n"


def test_the_recorded_signature_fits_its_bytes_and_no_others(files: Files) -> None:
    files.check()
    for model in (b"", MODEL[:-1], MODEL + b"\n", bytes([MODEL[0] ^ 1]) + MODEL[1:]):
        files.refused(ANOTHER, model)


def test_a_key_and_a_signature_that_went_through_windows_are_taken(files: Files) -> None:
    files.signature.write_bytes(SIGNATURE.replace("\n", "\r\n").encode())
    files.key.write_bytes(PUBLIC.replace("\n", "\r\n").encode())
    files.check()
    files.key.write_bytes(" ".join(PUBLIC.split()[:2]).encode())  # without comment and line's end
    files.check()


def test_each_bit_of_a_signature_counts(files: Files) -> None:
    for place in range(len(SIGNED)):
        changed = bytearray(SIGNED)
        changed[place] ^= 1 << place % 8
        files.signature.write_text(armoured(bytes(changed)))
        files.refused(ANOTHER if place >= len(SIGNED) - 64 else NOT_BY_IT)


def test_each_part_of_a_signature_is_none(files: Files) -> None:
    for length in range(len(SIGNED)):
        files.signature.write_text(armoured(SIGNED[:length]))
        files.refused(NOT_BY_IT)
    files.signature.write_text(armoured(SIGNED + b"\0"))
    files.refused(NOT_BY_IT)
    for length in range(len(SIGNATURE) - 1):  # all but the last line's end
        files.signature.write_text(SIGNATURE[:length])
        files.refused(NOT_BY_IT)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        bytes(64),
        SIGNED,
        SIGNED[-64:],
        base64.b64encode(SIGNED),
        SIGNATURE.encode() * 2,
        SIGNATURE.replace("SSH", "PGP").encode(),
        SIGNATURE.replace("=", "").encode(),
        SIGNATURE.replace("U1NI", "U1N!").encode(),
        "Ünterschrift".encode("utf-16"),
        os.urandom(16_384),
    ],
)
def test_what_is_no_signature_is_refused(files: Files, text: bytes) -> None:
    files.signature.write_bytes(text)
    files.refused(NOT_BY_IT)


def test_a_signature_that_cannot_be_read_is_refused_at_once(files: Files) -> None:
    files.signature.unlink()
    files.refused(
        "m.onnx.sig cannot be read: No such file or directory; the model has to be signed"
    )
    os.mkfifo(files.signature)
    files.refused("is a pipe or a device")
    files.signature.unlink()
    files.signature.mkdir()
    files.refused("is a folder")
    files.signature.rmdir()
    with files.signature.open("wb") as huge:
        huge.truncate(2**40)
    files.refused("has 1,099,511,627,776 bytes, and at most 16,384 are read")


ED25519 = PUBLIC.split()[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "ssh-ed25519",
        "ssh-ed25519 \n",
        f"{ED25519}\n",
        f"ssh-ed25519 {ED25519[:-4]}\n",
        f"ssh-ed25519 {ED25519[:-1]}\n",
        f"ssh-ed25519 {ED25519}AAAA\n",
        f"ssh-rsa {ED25519}\n",
        f"sk-ssh-ed25519@openssh.com {ED25519}\n",
        f"models@clinic-a namespaces=solo-xray {PUBLIC}",
        PUBLIC * 2,
        PUBLIC.strip() + "\r" + PUBLIC,
        f"ssh-ed25519\n{ED25519}\n",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nplanted\n-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 ünschön\n",
    ],
)
def test_a_key_of_another_kind_is_refused_unquoted(files: Files, text: str) -> None:
    files.key.write_text(text)
    files.refused(OTHER_KIND)
    with pytest.raises(ModelError) as caught:
        files.check()
    assert "planted" not in str(caught.value)


def test_a_key_that_cannot_be_believed_is_refused(files: Files) -> None:
    for mode in (0o664, 0o666, 0o602):
        files.key.chmod(mode)
        files.refused("others may write the model key")
    files.key.chmod(0o444)
    files.check()
    files.key.unlink()
    files.refused("key.pub cannot be read: No such file or directory")
    os.mkfifo(files.key)
    files.refused("is a pipe or a device")
    files.key.unlink()
    files.key.mkdir()
    files.refused("is a folder")


def test_without_the_library_for_signatures_the_sentence_names_it(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nacl.signing", None)
    files.refused("pip install pynacl")


@needs_ssh
def test_what_ssh_keygen_signs_is_taken_as_ssh_keygen_takes_it(tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    for length in (0, 1, 63, 64, 100_000):
        model = tmp_path / f"{length}.onnx"
        model.write_bytes(os.urandom(length))
        sign(model, tmp_path / "key")
        check_signature(model.read_bytes(), model, key)
        for purpose, accepted in (("solo-xray", True), ("git", False)):
            assert fits(model, purpose) == accepted


@needs_ssh
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("ed25519", ("-n", "git")),
        ("ed25519", ("-n", "solo-xray", "-O", "hashalg=sha256")),
        ("rsa", ("-n", "solo-xray")),
        ("ecdsa", ("-n", "solo-xray")),
    ],
)
def test_other_kinds_of_signatures_are_refused(
    files: Files, tmp_path: Path, kind: str, more: tuple[str, ...]
) -> None:
    public = new_key(tmp_path / "other", kind)
    files.model.write_bytes(MODEL)
    files.signature.unlink()
    sign(files.model, tmp_path / "other", *more)
    files.refused(NOT_BY_IT)  # by the recorded key
    files.key.write_bytes(public.read_bytes())
    files.refused(NOT_BY_IT if kind == "ed25519" else OTHER_KIND)


@needs_ssh
def test_the_signature_of_another_key_is_refused(files: Files, tmp_path: Path) -> None:
    new_key(tmp_path / "other")
    files.model.write_bytes(MODEL)
    files.signature.unlink()
    sign(files.model, tmp_path / "other")
    files.refused(NOT_BY_IT)
