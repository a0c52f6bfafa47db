"""Keys and signatures of models by OpenSSH's own tool."""

from __future__ import annotations

import subprocess
from pathlib import Path


def new_key(path: Path, kind: str = "ed25519") -> Path:
    """Makes a key pair without a passphrase; returns the public one."""
    words: list[str | Path] = [
        "ssh-keygen",
        "-q",
        "-t",
        kind,
        "-N",
        "",
        "-C",
        "a comment",
        "-f",
        path,
    ]
    subprocess.run(words, check=True)
    return path.with_name(f"{path.name}.pub")


def sign(model: Path, key: Path, *purpose: str) -> Path:
    """Signs a model anew; returns the signature, which lies beside it."""
    signature = model.with_name(f"{model.name}.sig")
    signature.unlink(missing_ok=True)  # else the tool asks
    words: list[str | Path] = [
        "ssh-keygen",
        "-q",
        "-Y",
        "sign",
        "-f",
        key,
        *(purpose or ("-n", "solo-xray")),
        model,
    ]
    subprocess.run(words, check=True, capture_output=True)
    return signature


def fits(model: Path, purpose: str) -> bool:
    """Whether the tool itself takes the signature beside a model as one for a purpose."""
    words = ["ssh-keygen", "-Y", "check-novalidate", "-n", purpose, "-s", f"{model}.sig"]
    checked = subprocess.run(words, input=model.read_bytes(), capture_output=True, check=False)
    return checked.returncode == 0
