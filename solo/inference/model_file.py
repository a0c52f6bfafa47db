"""Model file: manifest, hash and graph, checked before a device is asked to run it."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from solo.contract.manifest import Manifest, ManifestError
from solo.inference.engine import ModelError
from solo.inference.output_checks import check_graph
from solo.inference.session import open_unoptimised


@dataclass(frozen=True)
class ModelFile:
    """A self-describing ONNX file that is what its manifest says.

    Attributes:
        path: where it is.
        sha256: of its bytes, hexadecimal.
        manifest: what it says of itself.
    """

    path: Path
    sha256: str
    manifest: Manifest

    @classmethod
    def read(cls, path: Path) -> ModelFile:
        """Reads and checks a file; takes a few hundredths of a second and no GPU.

        Raises:
            ModelError: if the file is missing, broken, or not what its manifest says.
        """
        sha256 = sha256_of(path)
        session = open_unoptimised(path)
        try:
            manifest = Manifest.from_metadata(session.get_modelmeta().custom_metadata_map)
        except ManifestError as error:
            raise ModelError(f"{path}: {error}") from error
        check_graph(session, manifest, path)
        return cls(path, sha256, manifest)


def sha256_of(path: Path) -> str:
    """The hash of a file, hexadecimal.

    Raises:
        ModelError: if it cannot be read, or is no file: a pipe would be waited for without end.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ModelError(f"the model {path} is a pipe or a device: name an ONNX file")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except IsADirectoryError:
        raise ModelError(f"the model {path} is a folder: name an ONNX file in it") from None
    except OSError as error:
        raise ModelError(f"the model {path} cannot be read: {error.strerror}") from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
