"""Choice of a decoder: sandboxed processes, or threads of this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from solo.decoding.radiograph import Limits
from solo.sandbox.decoder import InProcessDecoder, RadiographDecoder
from solo.sandbox.pool import DecoderPool


@dataclass(frozen=True)
class Sandbox:
    """Decoding in processes of their own, for bytes that nobody vouches for.

    Attributes:
        workers: decoder processes, one file each at a time; None for one a core.
        decode_seconds: longest time for decoding one file.

    Raises:
        ValueError: for a value out of range.
    """

    workers: int | None = None
    decode_seconds: float = 15.0

    def __post_init__(self) -> None:
        if self.workers is not None and not self.workers >= 1:  # files would wait for ever
            raise ValueError(f"workers is {self.workers}, and has to be 1 or more")
        if not self.decode_seconds > 0:
            raise ValueError(f"decode_seconds is {self.decode_seconds}, and has to be above 0")


def open_decoder(
    sandbox: Sandbox | None,
    cores: int,
    canvas_size: tuple[int, int],
    limits: Limits,
    on_failure: Callable[[str], None],
) -> RadiographDecoder:
    """A decoder that is still to be started.

    Args:
        sandbox: None for threads of this process.
        cores: most files at once where the sandbox does not say.
        canvas_size: (height, width) of the model's canvas.
        limits: what a file may ask for.
        on_failure: told in a sentence when a sandbox cannot go on.
    """
    if sandbox is None:
        return InProcessDecoder(cores, canvas_size, limits)
    workers = sandbox.workers or cores
    return DecoderPool(workers, canvas_size, limits, sandbox.decode_seconds, on_failure)
