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
    """

    workers: int | None = None
    decode_seconds: float = 15.0


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
