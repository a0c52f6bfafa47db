"""The bundled models: `model/zoo` of the source tree, `solo/zoo` where the package is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent
_FOLDERS: Final = (_PACKAGE / "zoo", _PACKAGE.parent / "model" / "zoo")
DEFAULT: Final = "cxr-lungs"


def model_path(model: Path | str | None = None) -> Path:
    """The file of a model.

    Args:
        model: a path, the name of a bundled model such as `cxr-lungs`, or None for that one.

    Returns:
        The path as it was given, unless it is a bundled model's name.
    """
    name = DEFAULT if model is None else str(model)
    if not name.endswith(".onnx"):
        for folder in _FOLDERS:
            if (folder / f"{name}.onnx").is_file():
                return folder / f"{name}.onnx"
    return Path(name)
