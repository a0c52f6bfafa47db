"""A folder of DICOM files: its films by UID, and its SEG objects; every other file is passed over.

Files are mapped into memory, so that of a film its header alone is read from the disk.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from datasets.gather.dicom_seg_object import SEG_CLASSES
from datasets.gather.ledger import Ledger
from model.data.coco_files import walk
from solo.decoding.decode import sniff
from solo.decoding.dicom.elements import code, integer, number, numbers
from solo.decoding.dicom.file import DicomFile, parse_dicom
from solo.decoding.dicom.sop_classes import projection_class
from solo.decoding.pixel_spacing import choose_spacing
from solo.errors import NotSegmentableError, SoloError

_HEAD = 256  # bytes, in which a file tells what it is
_NAME = 16  # digits of a hash


@dataclass(frozen=True)
class FilmFile:
    """What the header of a DICOM film says.

    Attributes:
        path: of its file.
        series: UID.
        size: (height, width) in pixels.
        frames: how many it has.
        spacing_mm: between rows and between columns, where it says so.
        name: for the gathered file; nothing of a patient is in it, as it may be in the file's own.
    """

    path: Path
    series: str
    size: tuple[int, int]
    frames: int
    spacing_mm: tuple[float, float] | None
    name: str


@dataclass(frozen=True)
class DicomFolder:
    """The films of a folder by SOP instance UID, and the files of its SEG objects."""

    films: dict[str, FilmFile]
    segs: tuple[Path, ...]


def read_folder(folder: Path, ledger: Ledger) -> DicomFolder:
    """Looks at every file below a folder.

    Args:
        folder: it.
        ledger: counts the films, and what cannot be read.
    """
    films: dict[str, FilmFile] = {}
    segs = []
    for path in tqdm(list(_dicom_files(folder)), desc="looking for films", unit="file"):
        try:
            file = open_dicom(path)
            if file_class(file) in SEG_CLASSES:
                segs.append(path)
                continue
            uid, film = _film(file, path)
        except NotSegmentableError:
            continue  # another kind of object
        except SoloError as error:
            ledger.drop(f"'{path.name}' cannot be read, export it anew: {error.detail}")
            continue
        ledger.films += film.frames
        if not uid:
            sentence = f"'{path.name}' has no SOP Instance UID, by which a SEG could be of it"
            ledger.drop(sentence, films=film.frames)
        elif films.setdefault(uid, film) is not film:
            ledger.drop(f"'{path.name}' is a film that is there already", films=film.frames)
    return DicomFolder(films, tuple(segs))


def has_seg(folder: Path) -> bool:
    """Whether there is a SEG below a folder."""
    return any(_is_seg(path) for path in _dicom_files(folder))


def open_dicom(path: Path) -> DicomFile:
    """Parses a file that stays on the disk, but for what is read of it.

    Raises:
        SoloError: for one that is damaged, or grows beyond what is plausible.
    """
    with path.open("rb") as file:
        return parse_dicom(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))


def file_class(file: DicomFile) -> str:
    """SOP class UID of the object, or of its file where it has none."""
    return code(file.dataset, "SOPClassUID") or file.media_class


def _is_seg(path: Path) -> bool:
    try:
        return file_class(open_dicom(path)) in SEG_CLASSES
    except SoloError:
        return False


def _dicom_files(folder: Path) -> Iterator[Path]:
    for path in sorted(walk(folder)):
        if not path.is_file():
            continue
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if sniff(head) == "dicom":
            yield path


def _film(file: DicomFile, path: Path) -> tuple[str, FilmFile]:
    dataset = file.dataset
    projection_class(code(dataset, "SOPClassUID"), file.media_class, code(dataset, "Modality"))
    if file.pixel_data is None:
        raise NotSegmentableError("it has no pixels")
    uid = code(dataset, "SOPInstanceUID")
    spacing = choose_spacing(
        numbers(dataset, "ImagerPixelSpacing"),
        numbers(dataset, "PixelSpacing"),
        code(dataset, "PixelSpacingCalibrationType"),
    )
    frames = number(dataset, "NumberOfFrames", default=1)
    return (
        uid,
        FilmFile(
            path=path,
            series=code(dataset, "SeriesInstanceUID"),
            size=(integer(dataset, "Rows"), integer(dataset, "Columns")),
            frames=int(frames) if frames >= 1 else 1,  # as its decoder counts them
            spacing_mm=(spacing.row_mm, spacing.column_mm) if spacing else None,
            name=f"{hashlib.sha256(uid.encode()).hexdigest()[:_NAME]}.dcm",
        ),
    )
