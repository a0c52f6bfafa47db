"""DICOM objects of a result, by kind: the way in to this package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, Literal

from pydicom import uid
from pydicom.dataset import Dataset

from solo.contract.manifest import ClassCodes, Manifest
from solo.decoding.dicom.source_header import TAGS
from solo.errors import ImageTooLargeError, NoDicomResultError, NothingFoundError
from solo.formats.dicom.bit_planes import empty_frames, packed_bytes, packed_frames
from solo.formats.dicom.modules import MANUFACTURER, ascii_text, common_modules, copied_elements
from solo.formats.dicom.part10 import file_pieces
from solo.formats.dicom.presentation_state import fill_presentation_state
from solo.formats.dicom.secondary_capture import fill_secondary_capture
from solo.formats.dicom.segmentation import fill_segmentation
from solo.formats.dicom.source import Source
from solo.formats.dicom.uids import derived_uid
from solo.result import Result

DicomKind = Literal["seg", "gsps", "sc"]
"""Segmentation, Grayscale Softcopy Presentation State, Secondary Capture."""
Pieces = Generator[bytes, None, None]

# SOP class, modality and number of the series
_KINDS: Final[dict[DicomKind, tuple[uid.UID, str, int]]] = {
    "seg": (uid.SegmentationStorage, "SEG", 9001),
    "gsps": (uid.GrayscaleSoftcopyPresentationStateStorage, "PR", 9002),
    "sc": (uid.SecondaryCaptureImageStorage, "OT", 9003),
}
_MOST_BYTES: Final = 128 * 2**20  # as much as a file may have unpacked
_MOST_DEFLATED: Final = 2**31  # what readers with signed lengths take; a value ends at twice that

_MOST_DRAWN_RUNS: Final = 2**16


@dataclass(frozen=True)
class DicomOptions:
    """How objects are written.

    Attributes:
        explicit: a SEG in Explicit VR Little Endian, in which it is many times as long, in place of
            Deflated Explicit VR Little Endian; the other kinds have one syntax each.
        assumed_orientation: beyond the standard (PS3.3 A.51.5): a SEG says that rows and columns
            run along the patient's axes, without a frame of reference, for viewers that open none
            without an orientation (cornerstone, which OHIF uses).
        variant: of the same film and model: what else tells two objects apart, such as a threshold.
            It is a part of their UIDs, as annotations are without it.
    """

    explicit: bool = False
    assumed_orientation: bool = False
    variant: str = ""


def encode_dicom(
    result: Result,
    kind: DicomKind,
    manifest: Manifest,
    options: DicomOptions = DicomOptions(),
) -> bytes:
    """A DICOM file (PS3.10) of one kind.

    Patient and study are copied from the film as they are there, and nothing else of it.

    Args:
        result: of one frame, with `source_header`, and with `pixels` for a secondary capture.
        kind: of object.
        manifest: of the model that answered; says the codes of its classes.
        options: how it is written.

    Raises:
        NothingFoundError: for a result without instances.
        NoCodesError: for a SEG with an instance whose class has no codes.
        NoDicomResultError: for a film that is no DICOM, lacks a UID that the object refers to, or
            is in colour (`gsps`), and for masks of too many pieces to draw (`gsps`, `sc`).
        ImageTooLargeError: for a SEG above 128 MiB in Explicit VR Little Endian, or above 2 GiB
            before it is deflated.
        ValueError: for a result without what it needs.
    """
    return b"".join(dicom_pieces(result, kind, manifest, options))


def dicom_pieces(
    result: Result, kind: DicomKind, manifest: Manifest, options: DicomOptions
) -> Pieces:
    """The same in pieces, one for each frame and more; see `encode_dicom`."""
    source = Source.of(result)
    if not result.instances:
        if result.is_annotated:
            raise NothingFoundError(
                "the annotations show nothing, and a DICOM object would: mark something"
            )
        raise NothingFoundError(
            "the model found nothing in the film, and a DICOM object shows what was found: it was "
            "segmented, and there is nothing to store"
        )
    if kind != "seg":
        _check_outlines(result)
    dataset = _begun(source, result, kind, options.variant)
    copied = copied_elements(source)
    if kind != "gsps":  # which is no image
        copied[TAGS["PatientOrientation"]] = source.orientation
    match kind:
        case "seg":
            masks = [instance.runs for instance in result.instances]
            if options.assumed_orientation:
                masks += empty_frames(masks)
            length, syntax = packed_bytes(masks), uid.DeflatedExplicitVRLittleEndian
            if options.explicit:
                syntax = uid.ExplicitVRLittleEndian
            _check_length(length, explicit=options.explicit)
            fill_segmentation(
                dataset,
                result,
                source,
                _codes(manifest),
                frames=len(masks),
                assumed_orientation=options.assumed_orientation,
            )
            copied |= source.lossy or {}
            yield from file_pieces(dataset, copied, syntax, packed_frames(masks), length)
        case "gsps":
            fill_presentation_state(dataset, result, source)
            yield from file_pieces(dataset, copied, uid.ExplicitVRLittleEndian)
        case "sc":
            pixels = fill_secondary_capture(dataset, result, source)
            yield from file_pieces(dataset, copied, uid.JPEGBaseline8Bit, [pixels], 0)


def _begun(source: Source, result: Result, kind: DicomKind, variant: str) -> Dataset:
    """The common modules; each object has a series of its own, as viewers open its last one."""
    frame = "" if source.frame in (None, 1) else f"frame {source.frame}"
    told = filter(None, (frame, _digest(result), variant))
    film = (source.sop_instance, result.model.sha256, kind, *told)
    sop_class, modality, series_number = _KINDS[kind]
    uids = derived_uid(*film), derived_uid(*film, "series")
    dataset = common_modules(sop_class, uids, modality, series_number, result.model)
    if result.is_annotated:
        name = ascii_text(result.model.name, 28)
        dataset.SeriesDescription = f"{MANUFACTURER} {name}, corrected: research use"
    return dataset


def _digest(result: Result) -> str:
    """Tells annotations apart; a result of the model alone follows from film and model."""
    if not result.is_annotated:
        return ""
    model = result.model
    digest = hashlib.sha256(json.dumps((model.name, model.version)).encode())
    for instance in result.instances:
        kind = instance.algorithm_type
        score = f"{instance.score:.3f}" if kind == "AUTOMATIC" else None  # as it is told
        facts = instance.label, kind, score, instance.runs.compressed()
        digest.update(json.dumps(facts).encode())
    return f"annotations {digest.hexdigest()}"


def _codes(manifest: Manifest) -> dict[str, ClassCodes]:
    pairs = zip(manifest.class_names, manifest.class_codes, strict=False)
    return {name: codes for name, codes in pairs if codes is not None}


def _check_outlines(result: Result) -> None:
    """Refuses what would be drawn for long without a step between: a stranger's many specks."""
    runs = sum(len(instance.runs.counts) // 2 for instance in result.instances)
    if result.is_annotated and runs > _MOST_DRAWN_RUNS:
        raise NoDicomResultError(
            f"the masks have {runs:,} runs, and at most {_MOST_DRAWN_RUNS:,} are drawn as "
            "outlines: ask for a SEG, or remove specks"
        )


def _check_length(length: int, *, explicit: bool) -> None:
    if length > _MOST_DEFLATED:
        raise ImageTooLargeError(
            f"the SEG has {length:,} bytes of masks before it is deflated; at most "
            f"{_MOST_DEFLATED:,} are written: make several of fewer instances"
        )
    if explicit and length > _MOST_BYTES:
        raise ImageTooLargeError(
            f"in Explicit VR Little Endian the SEG has {length:,} bytes of masks; at most "
            f"{_MOST_BYTES:,} are written: ask for Deflated Explicit VR Little Endian"
        )
