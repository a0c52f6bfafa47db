"""Decoders in turn: clients share them, and an archive leaves one to those who look at a screen."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from solo.batching.admission import Place
from solo.batching.turns import Turns
from solo.decoding.stored_pixels import PixelsWanted
from solo.file import RadiographFile
from solo.result import Instance, ModelIdentity, OutOfDistribution, Result, Timings
from solo.sandbox.decoder import DecodedRadiograph, RadiographDecoder, StillDecodingError


class Wanted(NamedTuple):
    """What is wanted of a file: which frame, and what beside the canvas."""

    frame: int
    pixels: PixelsWanted
    header: bool


class FairDecoder:
    """Gives clients a decoder in turn.

    Args:
        decoder: of as many files at once as it says.
    """

    def __init__(self, decoder: RadiographDecoder) -> None:
        self._decoder = decoder
        self._turns = Turns(decoder.width)
        # An archive leaves a decoder to those who look at a screen, where there are two.
        self._bulk_turns = Turns(max(1, decoder.width - 1))

    def close(self) -> None:
        """Nobody gets a turn any more."""
        for turns in (self._turns, self._bulk_turns):
            turns.close()

    async def decode(self, file: RadiographFile, wanted: Wanted, place: Place) -> DecodedRadiograph:
        """Decodes a file when it is its client's turn.

        Args:
            file: its bytes.
            wanted: of it.
            place: which it has in the queue.

        Raises:
            SoloError: the error that the file deserves.
        """
        turns = [self._bulk_turns, self._turns] if place.lane == "bulk" else [self._turns]
        taken: list[Turns] = []

        def give(_: object = None) -> None:
            for turn in taken:
                turn.give(place.client)

        try:
            for turn in turns:
                await turn.take(place.lane, place.client)
                taken.append(turn)
            decoded = await self._decoder.decode(
                file.pieces, wanted.frame, wanted.pixels, wants_header=wanted.header
            )
        except StillDecodingError as cancelled:  # the turn lasts as long as the decoder is at it
            cancelled.work.add_done_callback(give)
            raise asyncio.CancelledError from None
        except BaseException:
            give()
            raise
        give()
        return decoded


def result_of(
    model: ModelIdentity,
    file: RadiographFile,
    decoded: DecodedRadiograph,
    instances: tuple[Instance, ...],
    timings: Timings,
    strange: OutOfDistribution | None = None,
) -> Result:
    """The result of a decoded file."""
    return Result(
        model=model,
        sha256=file.sha256,
        radiograph=decoded.info,
        instances=instances,
        timings=timings,
        pixels=decoded.pixels,
        out_of_distribution=strange,
        stored_pixels=decoded.stored,
        source_header=decoded.header,
    )
