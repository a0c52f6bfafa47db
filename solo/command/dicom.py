"""DICOM objects of a run, each in a file of a name that no other film gives."""

from __future__ import annotations

from typing import get_args

from solo.command.arguments import Arguments
from solo.command.pictures import picture_name
from solo.contract.manifest import Manifest
from solo.errors import NoDicomResultError, NothingFoundError, SoloError
from solo.formats.coco import CocoEntry
from solo.formats.dicom.objects import DicomKind, encode_dicom
from solo.result import Result


def dicom_kinds(arguments: Arguments) -> list[DicomKind]:
    """The kinds of object that are asked for."""
    return [kind for kind in get_args(DicomKind) if kind in arguments.formats]


def write_objects(
    arguments: Arguments, name: str, result: Result, manifest: Manifest
) -> tuple[CocoEntry, SoloError | None]:
    """Writes the DICOM objects of a frame that are asked for; there are none of an empty result.

    Args:
        arguments: of the run.
        name: the film's in the document.
        result: with its source header, and with pixels where there are secondary captures.
        manifest: of the model.

    Returns:
        The path of each from the document's folder, by its kind, and why one of them is missing.

    Raises:
        OSError: if one cannot be written.
    """
    written: CocoEntry = {}
    missing: SoloError | None = None
    frame = result.radiograph.frame if arguments.frame == "all" else None
    for kind in dicom_kinds(arguments):
        try:
            data = encode_dicom(result, kind, manifest)
        except NothingFoundError:
            break
        except NoDicomResultError as error:
            missing = error
            continue
        place = f"{kind}/{picture_name(name, frame, f'.{kind}.dcm')}"
        path = arguments.out / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        written[kind] = place
    return written, missing
