"""PNG and DICOM writers of synthetic films; each file says that it is not real."""

from __future__ import annotations

import hashlib
import struct
import zlib
from io import BytesIO

import cv2
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from datasets.phantom.exposure import WHITE
from datasets.phantom.radiograph import PhantomRadiograph, Stored

NOT_REAL = "Computed, not acquired: no such film was ever taken. Research use only."

_PNG_HEADER_BYTES = 33  # signature and IHDR, after which texts may stand


def as_png(film: PhantomRadiograph) -> bytes:
    """A PNG of 16 bits, 0 to 65520, with a text chunk that says what it is."""
    _, encoded = cv2.imencode(".png", film.stored << 4, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    png = encoded.tobytes()
    text = b"tEXtDescription\0" + f"{film.description} {NOT_REAL}".encode("latin-1", "replace")
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return png[:_PNG_HEADER_BYTES] + chunk + png[_PNG_HEADER_BYTES:]


def as_dicom(film: PhantomRadiograph) -> bytes:
    """A DX image for presentation (PS3.3 A.26) of 12 bits in 16, with an identity of nobody."""
    dataset = Dataset()
    dataset.update(_identity(film.stored))
    dataset.Modality, dataset.PresentationIntentType = "DX", "FOR PRESENTATION"
    dataset.ImageType = ["DERIVED", "PRIMARY", ""]
    dataset.SyntheticData = "YES"
    dataset.DerivationDescription = f"{film.description} {NOT_REAL}"
    dataset.BodyPartExamined = ""
    dataset.PatientOrientation, dataset.ImageLaterality = "", "U"
    dataset.AcquisitionContextSequence = []
    dataset.ImagerPixelSpacing = [film.pixel_mm] * 2
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = film.stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.WindowCenter, dataset.WindowWidth = (WHITE + 1) // 2, WHITE + 1
    dataset.VOILUTFunction, dataset.PresentationLUTShape = "LINEAR", "IDENTITY"
    dataset.LossyImageCompression, dataset.BurnedInAnnotation = "00", "NO"
    dataset.PixelData = film.stored.astype("<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _identity(stored: Stored) -> Dataset:
    identity = Dataset()
    identity.SOPClassUID = DigitalXRayImageStorageForPresentation
    digest = hashlib.sha256(stored.tobytes()).hexdigest()
    for level in ("Study", "Series", "SOP"):  # of the pixels alone: the same at every run
        setattr(identity, f"{level}InstanceUID", generate_uid(entropy_srcs=[level, digest]))
    identity.PatientName, identity.PatientID = "Phantom", "PHANTOM"
    identity.PatientBirthDate = identity.PatientSex = identity.ReferringPhysicianName = ""
    identity.StudyDate = identity.StudyTime = identity.StudyID = identity.AccessionNumber = ""
    identity.Manufacturer = ""
    identity.SeriesNumber, identity.InstanceNumber = 1, 1
    identity.SeriesDescription = "Computed film, not real"
    return identity
