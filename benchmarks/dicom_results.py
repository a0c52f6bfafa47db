"""SEG objects of a large film beside highdicom's: milliseconds of one core and bytes.

    python -m benchmarks.dicom_results

Ellipses that overlap, 2 and 40 of them, on a film of 3000 x 2500 pixels without a frame of
reference. Ours begins with the run lengths that a result has, highdicom's with dense masks, which
are made beforehand. Each is the median of several runs, turn and turn about. Without highdicom
(`pip install highdicom`, which nothing else here needs) ours is alone.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from solo.contract.manifest import Manifest
from solo.decoding.dicom.source_header import TAGS, Presentation, SourceHeader
from solo.decoding.window import Window
from solo.formats.dicom.objects import DicomOptions, encode_dicom
from solo.inference.model_file import ModelFile
from solo.masks.rle import MaskRuns
from solo.result import Instance, ModelIdentity, RadiographInfo, Result, Timings
from solo.zoo import model_path

_SIZE = (3000, 2500)
_RUNS = 7
_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")

Masks = npt.NDArray[np.bool_]


def main() -> None:
    """Times what there is, and prints a table."""
    warnings.simplefilter("ignore")  # highdicom's, of a film without a frame of reference
    manifest = ModelFile.read(model_path()).manifest
    for count in (2, 40):
        masks = _masks(count)
        result = _result(masks)
        work: dict[str, Callable[[], bytes]] = {
            "ours, deflated": partial(_ours, result, manifest, explicit=False),
            "ours, explicit": partial(_ours, result, manifest, explicit=True),
        }
        if find_spec("highdicom"):
            work["highdicom, explicit"] = partial(_highdicom, masks)
        for name, (seconds, size) in _timed(work).items():
            print(f"{count:3} instances  {name:20} {seconds * 1000:7.1f} ms  {size:11,} bytes")


def _timed(work: Mapping[str, Callable[[], bytes]]) -> dict[str, tuple[float, int]]:
    seconds: dict[str, list[float]] = {name: [] for name in work}
    sizes = {name: len(make()) for name, make in work.items()}
    for _ in range(_RUNS):
        for name, make in work.items():
            started = process_time()
            make()
            seconds[name].append(process_time() - started)
    return {name: (median(seconds[name]), sizes[name]) for name in work}


def _ours(result: Result, manifest: Manifest, *, explicit: bool) -> bytes:
    return encode_dicom(result, "seg", manifest, DicomOptions(explicit=explicit))


def _highdicom(masks: Masks) -> bytes:
    import highdicom  # type: ignore[import-not-found,unused-ignore]

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="benchmark", version="1", family=codes.DCM.ArtificialIntelligence
    )
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"lung {number}",
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=codes.SCT.Lung,
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
        )
        for number in range(1, len(masks) + 1)
    ]
    found: Any = highdicom.seg.Segmentation(
        source_images=[_film()],
        pixel_array=np.moveaxis(masks, 0, -1)[None],
        segmentation_type="BINARY",
        segment_descriptions=segments,
        series_instance_uid="2.25.4",
        series_number=1,
        sop_instance_uid="2.25.5",
        instance_number=1,
        manufacturer="benchmark",
        manufacturer_model_name="benchmark",
        software_versions="1",
        device_serial_number="1",
    )
    file = io.BytesIO()
    found.save_as(file)
    return file.getvalue()


def _masks(count: int) -> Masks:
    height, width = _SIZE
    rows, columns = np.ogrid[:height, :width]
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    across = 0.25 if count == 2 else 0.1
    return np.stack(
        [
            ((rows / height - 0.5 - 0.2 * np.sin(one)) / (1.2 * across)) ** 2
            + ((columns / width - 0.5 - 0.2 * np.cos(one)) / across) ** 2
            < 1
            for one in turn
        ]
    )


def _result(masks: Masks) -> Result:
    height, width = _SIZE
    film, window = _film(), Presentation(1, 0, None, Window(2048, 4096, "LINEAR"), False)
    elements = {TAGS[name]: str(film[name].value).encode() for name in (*_UIDS, "SOPClassUID")}
    return Result(
        model=ModelIdentity("benchmark", "1", "0" * 64, "cpu"),
        sha256="0" * 64,
        radiograph=RadiographInfo(
            height, width, 0, 1, "window", None, "dicom", str(ExplicitVRLittleEndian)
        ),
        instances=tuple(Instance("lung", 1, 0.9, _runs(mask), 0.1) for mask in masks),
        timings=Timings(0, 0, 0, 0),
        source_header=SourceHeader(elements, window),
    )


def _runs(mask: Masks) -> MaskRuns:
    edges = np.flatnonzero(np.diff(mask.T.ravel(), prepend=False))
    counts = np.diff(np.concatenate([[0], edges, [mask.size]]))
    rows, columns = np.nonzero(mask)
    left, top = int(columns.min()), int(rows.min())
    size = int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
    return MaskRuns(_SIZE, counts, int(mask.sum()), (left, top, *size))


def _film() -> Dataset:
    film = Dataset()
    film.SOPClassUID = DigitalXRayImageStorageForPresentation
    for number, name in enumerate(_UIDS, 1):
        setattr(film, name, f"2.25.{number}")
    film.Modality, film.PatientID, film.PatientName = "DX", "P", "P"
    film.PatientBirthDate = film.PatientSex = film.StudyDate = film.StudyTime = ""
    film.AccessionNumber = film.StudyID = film.ReferringPhysicianName = ""
    film.Rows, film.Columns = _SIZE
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return film


if __name__ == "__main__":
    main()
