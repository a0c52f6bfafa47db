"""Keys and signatures of models by OpenSSH's own tool."""

from __future__ import annotations

import subprocess
from pathlib import Path


def new_key(path: Path, kind: str = "ed25519") -> Path:
    """Makes a key pair without a passphrase; returns the public one."""
    _ssh_keygen("-t", kind, "-N", "", "-C", "a comment", "-f", str(path))
    return path.with_name(f"{path.name}.pub")


def sign(model: Path, key: Path, *purpose: str) -> None:
    """Signs a model anew."""
    model.with_name(f"{model.name}.sig").unlink(missing_ok=True)  # else the tool asks
    _ssh_keygen("-Y", "sign", "-f", str(key), *(purpose or ("-n", "solo-xray")), str(model))


def fits(model: Path, purpose: str) -> bool:
    """Whether the tool itself takes the signature beside a model as one for a purpose."""
    words = ["ssh-keygen", "-Y", "check-novalidate", "-n", purpose, "-s", f"{model}.sig"]
    checked = subprocess.run(words, input=model.read_bytes(), capture_output=True, check=False)
    return checked.returncode == 0


def _ssh_keygen(*words: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *words], check=True, capture_output=True)  # noqa: S607
