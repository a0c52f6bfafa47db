"""What a decoder's process hands over beside the canvas: pixels and headers, as they are here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import product
from typing import get_args

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from solo.decoding.stored_pixels import PixelsWanted
from solo.errors import DecoderCrashedError
from solo.sandbox.header_transfer import pack_header
from solo.sandbox.pool import DecoderPool
from tests.support.decoders import DecoderHere, decoders, replaced, workers_of
from tests.support.dicom import dicom_file
from tests.support.dicom_results import hospital_film
from tests.support.films import chest, flat, jpeg, png
from tests.support.planted_worker import UNBELIEVABLE

pytestmark = pytest.mark.anyio

FILM = chest()
GREY = (FILM // 16).astype(np.uint8)
GOOD = png(GREY)
FILES = (
    GOOD,
    png(FILM),
    jpeg(GREY),
    dicom_file(FILM, ImagerPixelSpacing=[0.1, 0.2]),
    dicom_file(FILM, syntax=DeflatedExplicitVRLittleEndian),
    dicom_file(FILM, syntax=RLELossless),
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DecoderPool]:
    monkeypatch.setattr("solo.sandbox.process._WORKER", "tests.support.planted_worker")
    async with decoders() as running:
        yield running


async def test_the_film_comes_in_8_bits_when_asked_for(pool: DecoderPool) -> None:
    eight = await pool.decode(png(GREY), 0, wants_pixels="grey")
    np.testing.assert_array_equal(eight.pixels, GREY)
    deep = dicom_file(FILM * 16, WindowCenter=32768, WindowWidth=65536)
    sixteen = await pool.decode(deep, 0, wants_pixels="grey")
    assert sixteen.pixels is not None
    assert np.abs(sixteen.pixels.astype(int) - (FILM * 16 >> 8)).max() <= 1
    here = await DecoderHere().decode(deep, 0, wants_pixels="grey")
    np.testing.assert_array_equal(sixteen.pixels, here.pixels)
    plain = await pool.decode(png(flat(7, 3, 5)), 0, wants_pixels="grey")
    np.testing.assert_array_equal(plain.pixels, flat(7, 3, 5))


async def test_stored_pixels_come_as_they_are_here(pool: DecoderPool) -> None:
    wide = dicom_file(np.tile(FILM, (9, 9)), RescaleSlope=0.5, PixelPaddingValue=1500)
    for data in (*FILES, wide, GOOD):  # a small one after a large one
        apart, here = (
            await pool.decode(data, 0, "cells"),
            await DecoderHere().decode(data, 0, "cells"),
        )
        assert apart.pixels is None
        assert apart.stored is not None
        assert here.stored is not None
        assert apart.stored.display == here.stored.display
        for found, expected in zip(apart.stored.arrays, here.stored.arrays, strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


async def test_a_header_crosses_as_it_is(pool: DecoderPool) -> None:
    curve = Dataset()
    curve.add_new("LUTDescriptor", "US", [4096, 0, 16])
    curve.add_new("LUTData", "US", [n * 16 for n in range(4096)])
    modality = Dataset()
    modality.add_new("LUTDescriptor", "US", [4096, 0, 16])
    modality.add_new("LUTData", "US", list(range(4096)))
    modality.ModalityLUTType = "US"
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    films = [
        hospital_film(ramp),
        hospital_film(ramp, VOILUTSequence=[curve], ModalityLUTSequence=[modality]),
        png(GREY),
    ]
    for data, wanted in product(films, get_args(PixelsWanted)):
        apart = await pool.decode(data, 0, wanted, wants_header=True)
        here = await DecoderHere().decode(data, 0, wanted, wants_header=True)
        assert (apart.header is None) == (here.header is None) == (data == films[2])
        if apart.header is not None and here.header is not None:
            (facts, tables), (expected, others) = map(pack_header, (apart.header, here.header))
            assert facts == expected
            assert [table.tolist() for table in tables] == [table.tolist() for table in others]
        np.testing.assert_array_equal(apart.pixels, here.pixels)
        if apart.stored is not None and here.stored is not None:
            np.testing.assert_array_equal(apart.stored.cells, here.stored.cells)
        assert (await pool.decode(data, 0, wanted)).header is None


async def test_stored_pixels_that_cannot_be_are_not_believed(pool: DecoderPool) -> None:
    for data in UNBELIEVABLE:
        before = workers_of()
        with pytest.raises(DecoderCrashedError):
            await asyncio.wait_for(pool.decode(data, 0, "cells"), 10)
        await replaced(before)
    assert (await asyncio.wait_for(pool.decode(GOOD, 0, "cells"), 20)).stored is not None
