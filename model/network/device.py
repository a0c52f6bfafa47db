"""The device that a command runs on."""

from __future__ import annotations

import torch


def usable_device(device: torch.device | str) -> torch.device:
    """A device by name, if there is one here.

    Raises:
        ValueError: if there is not.
    """
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"there is no device '{device}' here") from error
    return found
