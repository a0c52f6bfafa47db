"""Films with a patient's identity, and results of them with masks that a test gives."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pydicom
from pycocotools import mask as coco_mask

from solo.contract.manifest import ClassCodes, Code, Manifest
from solo.decoding.canvas import in_8_bits
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.formats.dicom.objects import DicomKind, DicomOptions, encode_dicom
from solo.masks.rle import MaskRuns
from solo.result import Instance, ModelIdentity, Result, Timings
from tests.support.dicom import dicom_file
from tests.support.engines import manifest

MODEL = ModelIdentity("lungs", "3", "ab" * 32, "CPUExecutionProvider")
STUDY, SERIES = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.2"
IDENTITY: Final[dict[str, Any]] = {
    "PatientName": "Planted^Patient",
    "PatientID": "PLANTED-4711",
    "IssuerOfPatientID": "PLANTED-HOSPITAL",
    "PatientBirthDate": "19470101",
    "PatientSex": "F",
    "StudyInstanceUID": STUDY,
    "StudyDate": "20260102",
    "StudyTime": "030405",
    "ReferringPhysicianName": "Planted^Referrer",
    "StudyID": "PLANTED-5",
    "AccessionNumber": "PLANTED-6",
}
"""All of it goes into each object; `SpecificCharacterSet` would, too."""
PRIVATE: Final[dict[str, Any]] = {
    "InstitutionName": "NOWHERE-institution",
    "InstitutionAddress": "NOWHERE-address",
    "StationName": "NOWHERE-station",
    "OperatorsName": "NOWHERE^operator",
    "OtherPatientIDs": "NOWHERE-other",
    "PatientAddress": "NOWHERE-street",
    "PatientComments": "NOWHERE-comment",
    "StudyDescription": "NOWHERE-study",
    "SeriesDescription": "NOWHERE-series",
    "ProtocolName": "NOWHERE-protocol",
    "DeviceSerialNumber": "NOWHERE-device",
}
"""None of it goes into any object."""

Mask = npt.NDArray[np.bool_]


def code(value: str, meaning: str) -> Code:
    return Code(value=value, scheme="SCT", meaning=meaning)


ANATOMY = code("91723000", "Anatomical Structure")
LUNG = ClassCodes(category=ANATOMY, type=code("39607008", "Lung"))
RIGHT_LUNG = ClassCodes(category=ANATOMY, type=LUNG.type, side=code("24028007", "Right"))


def coded_manifest(**changes: object) -> Manifest:
    """The tiny model's, with the codes of a lung and of a right one."""
    return manifest(class_codes=(LUNG, RIGHT_LUNG), **changes)


def hospital_film(pixels: npt.NDArray[Any] | None = None, **changes: Any) -> bytes:
    """A film with all of `IDENTITY` and `PRIVATE`, and a private element."""
    pixels = np.arange(48, dtype=np.uint16).reshape(6, 8) if pixels is None else pixels
    elements = {**IDENTITY, **PRIVATE, "SeriesInstanceUID": SERIES, **changes}
    dataset = pydicom.dcmread(io.BytesIO(dicom_file(pixels, **elements)))
    block = dataset.private_block(0x0011, "NOWHERE-creator", create=True)
    block.add_new(1, "LO", "NOWHERE-private")
    output = io.BytesIO()
    dataset.save_as(output)
    return output.getvalue()


def result_of(
    film: bytes, masks: list[Mask], labels: list[str] | None = None, frame: int = 0
) -> Result:
    """A result with given masks, all `bright` unless labels say otherwise."""
    radiograph = decode(film, Limits(10**7), frame)
    named = labels or ["bright"] * len(masks)
    instances = [
        Instance(label, 1, 0.9 - 0.01 * number, runs_of(mask), 0.5)
        for number, (mask, label) in enumerate(zip(masks, named, strict=True))
    ]
    return Result(
        MODEL,
        "cd" * 32,
        radiograph.info,
        tuple(instances),
        Timings(0, 0, 0, 0),
        pixels=in_8_bits(radiograph.pixels),
        source_header=radiograph.source_header and radiograph.source_header(),
    )


def runs_of(mask: Mask) -> MaskRuns:
    """Run lengths as pycocotools has them."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(np.concatenate([[0], edges, [mask.size]]))
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    x, y, width, height = (int(one) for one in coco_mask.toBbox(encoded))
    counts = counts[:-1] if counts[-1] == 0 else counts
    return MaskRuns(mask.shape, counts, int(mask.sum()), (x, y, width, height))


def half(height: int = 6, width: int = 8) -> Mask:
    """A mask of the left half."""
    mask = np.zeros((height, width), np.bool_)
    mask[:, : width // 2] = True
    return mask


def written(
    result: Result, kind: DicomKind = "seg", model: Manifest | None = None, **options: Any
) -> pydicom.FileDataset:
    """An object, read back by pydicom."""
    data = encode_dicom(result, kind, model or coded_manifest(), DicomOptions(**options))
    return pydicom.dcmread(io.BytesIO(data))
