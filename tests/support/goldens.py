"""Recorded answers of reference implementations, kept beside the repository.

They lie in `../shared/goldens`, or where the environment variable XRAY_GOLDENS says. Where they are
absent, the tests that need them are skipped by the name of the missing file.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

_BESIDE_REPOSITORY = Path(__file__).resolve().parents[3] / "shared" / "goldens"
FOLDER = Path(os.environ.get("XRAY_GOLDENS", _BESIDE_REPOSITORY))


@cache
def _read(name: str) -> dict[str, npt.NDArray[Any]] | None:
    path = FOLDER / f"{name}.npz"
    if not path.is_file():
        return None
    with np.load(path) as archive:
        return dict(archive)


def load(name: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a golden file by key; skips the test where there is no such file."""
    arrays = _read(name)
    if arrays is None:
        pytest.skip(f"there is no golden file {name}.npz")
    return arrays


def cases(name: str, suffix: str) -> list[Any]:
    """The parameters for each key `<case>/<suffix>` of a golden file.

    Where the file is absent, the one parameter is skipped with its name.
    """
    arrays = _read(name)
    if arrays is None:
        reason = f"there is no golden file {name}.npz"
        return [pytest.param("absent", marks=pytest.mark.skip(reason=reason))]
    return [key.removesuffix(f"/{suffix}") for key in arrays if key.endswith(f"/{suffix}")]


def masks(arrays: dict[str, npt.NDArray[Any]], prefix: str) -> npt.NDArray[np.uint8]:
    """Unpacks `<prefix>_packed` to uint8 [N, H, W]."""
    shape = arrays[f"{prefix}_shape"]
    unpacked = np.unpackbits(arrays[f"{prefix}_packed"], axis=-1, count=int(shape[-1]))
    return unpacked.reshape(tuple(shape))


def state_dict(arrays: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The weights of a golden file under mmdetection's names."""
    return {key.removeprefix("sd/"): a for key, a in arrays.items() if key.startswith("sd/")}


def levels(
    arrays: dict[str, npt.NDArray[Any]], prefix: str, count: int = 5
) -> list[npt.NDArray[Any]]:
    """The arrays `<prefix>/lvl0`, `<prefix>/lvl1`, ..., finest first."""
    return [arrays[f"{prefix}/lvl{level}"] for level in range(count)]
