"""Frame header of a codestream, in one form for all codings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FrameHeader:
    """What the header of a codestream promises.

    Attributes:
        process: the coding in words.
        height: rows.
        width: columns.
        components: samples of a pixel.
        precision: bits of a sample.
        signed: whether samples are signed in the codestream itself.
        reversible: whether decoding gives exactly what was encoded.
    """

    process: str
    height: int
    width: int
    components: int
    precision: int
    signed: bool = False
    reversible: bool = False
