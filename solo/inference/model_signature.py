"""Model signature: OpenSSH's signature of a model file, checked offline before it is opened.

`ssh-keygen -Y sign -n solo-xray -f KEY MODEL.onnx` writes it to `MODEL.onnx.sig`: Ed25519 (RFC
8032) in the format of OpenSSH's PROTOCOL.sshsig. docs/adr/0017-signed-models.md says why.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from pathlib import Path
from typing import Final

from solo.inference.engine import ModelError
from solo.inference.regular_file import read_regular

# What a signature is for: one that the same key gave for mail or for git signs no model.
_NAMESPACE: Final = "solo-xray"
_KIND: Final = b"ssh-ed25519"
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_MOST_BYTES: Final = 16_384  # of either file; they have about 100 and 300
_ARMOUR: Final = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END SSH SIGNATURE-----\s*"
)


def check_signature(model: bytes, path: Path, key_file: Path) -> None:
    """Compares a model with the signature beside it.

    Args:
        model: the bytes of the file.
        path: of the file; the signature's has `.sig` at its end.
        key_file: the public key, the `KEY.pub` of `ssh-keygen -t ed25519 -f KEY`.

    Raises:
        ModelError: if this key did not sign these bytes, or cannot be believed.
    """
    key = _public_key(key_file)
    sig_file = path.with_name(f"{path.name}.sig")
    remedy = f"sign it by `ssh-keygen -Y sign -n {_NAMESPACE} -f KEY {path.name}`"
    try:
        found = _dearmoured(read_regular(sig_file, "signature", _MOST_BYTES))
    except ModelError as error:
        raise ModelError(f"{error}; the model has to be signed: {remedy}") from error
    # PROTOCOL.sshsig, sections 2 and 3. All but the last field is known, and nothing is parsed.
    terms = _string(_NAMESPACE.encode()) + _string(b"") + _string(b"sha512")
    public = _string(_string(_KIND) + _string(key))
    signature = found[-_SIGNATURE_BYTES:]
    if found != b"SSHSIG\0\0\0\1" + public + terms + _string(_string(_KIND) + _string(signature)):
        raise ModelError(f"{sig_file} is no {_NAMESPACE} signature by {key_file}: {remedy}")
    if not _fits(key, b"SSHSIG" + terms + _string(hashlib.sha512(model).digest()), signature):
        raise ModelError(
            f"the model {path} is not what was signed in {sig_file.name}: put that file back or, "
            f"if this one is meant, {remedy}"
        )


def _public_key(path: Path) -> bytes:
    """The 32 bytes of a key that nobody else may write."""
    text = read_regular(path, "model key", _MOST_BYTES, others_may_write=False).strip()
    words = text.split(None, 2)
    start = _string(_KIND) + _KEY_BYTES.to_bytes(4, "big")
    blob = _base64(words[1]) if words[:1] == [_KIND] and len(words) > 1 else b""
    if (
        not blob.startswith(start)
        or len(blob) != len(start) + _KEY_BYTES
        or len(text.splitlines()) != 1
    ):
        raise ModelError(
            f"the model key {path} is not one public key of `ssh-keygen -t ed25519 -f KEY`: name "
            "the file KEY.pub that it writes"
        )
    return blob[len(start) :]


def _dearmoured(text: bytes) -> bytes:
    match = _ARMOUR.fullmatch(text)
    return _base64(b"".join(match[1].split())) if match else b""


def _base64(text: bytes) -> bytes:
    """What it encodes; nothing, where it encodes nothing."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _string(content: bytes) -> bytes:
    """A string as SSH writes it (RFC 4251, section 5)."""
    return len(content).to_bytes(4, "big") + content


def _fits(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        from nacl.exceptions import BadSignatureError  # only here: most models are not signed
        from nacl.signing import VerifyKey
    except ImportError as error:
        raise ModelError("a model key needs the package PyNaCl: pip install pynacl") from error
    try:
        VerifyKey(key).verify(message, signature)
    except BadSignatureError:
        return False
    return True
