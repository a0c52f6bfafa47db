"""The recorded objects of a golden file, and the network that their targets were made for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.configuration.network import Level, ModelConfig
from model.data.objects import Objects
from tests.support import goldens
from tests.support.small_network import small_config

Arrays = dict[str, npt.NDArray[Any]]


def objects_of(arrays: Arrays, prefix: str) -> Objects:
    """The objects `<prefix>masks`, `<prefix>bboxes` and `<prefix>labels`."""
    return Objects(
        torch.tensor(goldens.masks(arrays, f"{prefix}masks") * np.uint8(255)),
        torch.tensor(arrays[f"{prefix}bboxes"]),
        torch.tensor(arrays[f"{prefix}labels"]),
    )


def config_of(arrays: Arrays) -> ModelConfig:
    """The small network with the file's levels and canvas."""
    parameters = (
        arrays[f"params_{name}"].tolist() for name in ("strides", "num_grids", "scale_ranges")
    )
    levels = tuple(
        Level(pyramid, stride, grid, tuple(bounds))
        for pyramid, stride, grid, bounds in zip((2, 3, 4, 5, 6), *parameters, strict=True)
    )
    height, width = arrays["params_image_hw"].tolist()
    return small_config(levels=levels, canvas_size=(height, width))
