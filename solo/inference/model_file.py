"""Model file: manifest, hash and graph, checked before a device is asked to run it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from solo.contract.manifest import Manifest, ManifestError
from solo.inference.engine import ModelError
from solo.inference.model_signature import check_signature
from solo.inference.output_checks import check_graph
from solo.inference.regular_file import read_regular
from solo.inference.session import open_unoptimised

_MOST_BYTES = 2**31 - 1  # of a message of Protocol Buffers, which an ONNX file is


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
    def read(cls, path: Path, key: Path | None = None) -> ModelFile:
        """Reads and checks a file; takes a few hundredths of a second and no GPU.

        Args:
            path: where it is.
            key: the public key that has to have signed it; None if nobody has to.

        Raises:
            ModelError: if the file is missing, broken, not signed, or not what its manifest says.
        """
        model = _read(path)
        if key is not None:
            check_signature(model, path, key)
        session = open_unoptimised(model, path)
        try:
            manifest = Manifest.from_metadata(session.get_modelmeta().custom_metadata_map)
        except ManifestError as error:
            raise ModelError(f"{path}: {error}") from error
        check_graph(session, manifest, path)
        return cls(path, _sha256(model), manifest)

    def read_again(self) -> bytes:
        """The bytes that were checked, to be opened: they are not kept, for they are many.

        Raises:
            ModelError: if the file has other bytes by now.
        """
        model = _read(self.path)
        if _sha256(model) != self.sha256:
            raise ModelError(f"the model {self.path} is another file by now")
        return model


def _read(path: Path) -> bytes:
    return read_regular(path, "model", _MOST_BYTES)


def _sha256(model: bytes) -> str:
    return hashlib.sha256(model).hexdigest()
