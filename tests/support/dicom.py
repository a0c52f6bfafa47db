"""DICOM files for tests, built element by element."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

PATIENT_NAME = "Planted^Patient"
PATIENT_ID = "PLANTED-4711"
INSTANCE_UID = "1.2.826.0.1.3680043.8.498.4711471147114711"

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.int16] | npt.NDArray[np.uint16]


def dicom_file(
    pixels: Pixels,
    *,
    syntax: UID = ExplicitVRLittleEndian,
    preamble: bool | bytes = True,
    without: tuple[str, ...] = (),
    media_class: str | None = DigitalXRayImageStorageForPresentation,
    **elements: Any,
) -> bytes:
    """A DICOM file of one or many frames.

    Args:
        pixels: [H, W], [N, H, W], or [H, W, 3] of uint8, with `SamplesPerPixel=3`.
        syntax: native, deflated or RLE transfer syntax.
        preamble: whether it starts with the 128 bytes and DICM, or how these bytes begin.
        without: keywords to leave out.
        media_class: Media Storage SOP Class UID; None leaves it out.
        **elements: values by keyword, in place of the defaults.
    """
    dataset = dicom_dataset(pixels, syntax, **elements)
    if media_class is None:
        del dataset.file_meta.MediaStorageSOPClassUID
    else:
        dataset.file_meta.MediaStorageSOPClassUID = UID(media_class)
    for keyword in without:
        del dataset[keyword]
    if syntax == RLELossless:
        dataset.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    output = io.BytesIO()
    dcmwrite(output, dataset, enforce_file_format=False)
    data = output.getvalue()
    if isinstance(preamble, bytes):
        return preamble.ljust(128, b"\0") + data[128:]
    return data if preamble else data[132:]


def dicom_dataset(
    pixels: Pixels,
    syntax: UID = ExplicitVRLittleEndian,
    **elements: Any,
) -> FileDataset:
    """The data set of `dicom_file`, with a patient planted in it."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID(INSTANCE_UID)
    meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian if syntax == RLELossless else syntax)
    dataset = FileDataset("", Dataset(), preamble=bytes(128), file_meta=meta)
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = INSTANCE_UID
    dataset.Modality = "DX"
    dataset.PatientName, dataset.PatientID = PATIENT_NAME, PATIENT_ID
    colour = elements.get("SamplesPerPixel", 1) == 3
    rows, columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    bits = pixels.dtype.itemsize * 8
    dataset.Rows, dataset.Columns = rows, columns
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    if pixels.ndim == 3 and not colour:
        dataset.NumberOfFrames = len(pixels)
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    little = syntax != ExplicitVRBigEndian
    data = pixels.astype(pixels.dtype.newbyteorder("<" if little else ">")).tobytes()
    dataset.PixelData = data + bytes(len(data) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    dataset.set_original_encoding(syntax == ImplicitVRLittleEndian, little)
    return dataset


def deflate_bomb(inflated_bytes: int) -> bytes:
    """A deflated file whose data set is one long element of zeros."""
    whole = dicom_file(np.zeros((1, 2), np.uint16), syntax=DeflatedExplicitVRLittleEndian)
    plain = dicom_file(np.zeros((1, 2), np.uint16), without=("PixelData",))
    syntax = DeflatedExplicitVRLittleEndian.encode()
    head = whole[: whole.index(syntax) + len(syntax)]
    data_set = plain[plain.index(b"\x08\x00\x16\x00UI") :]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(data_set + b"\xe0\x7f\x10\x00OB\0\0\xfe\xff\xff\x7f")
    block = bytes(2**20)
    for _ in range(inflated_bytes // len(block)):
        body += packer.compress(block)
    return head + body + packer.flush()
