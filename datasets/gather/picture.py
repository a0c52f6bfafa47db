"""Identity of films: two are the same where the network would see the same greys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Never

import numpy as np
from tqdm import tqdm

from datasets.gather.pseudonym import patient_pseudonym
from datasets.gather.source import Film, Source
from model.data.coco import DatasetError
from model.data.orientation import orientation
from model.data.radiograph import read_radiograph
from solo.decoding.decode import sniff


@dataclass(frozen=True)
class Picture:
    """What a film is known by.

    Attributes:
        greys: digest of its size and its greys in 8 bits, in which the page saves films of any
            depth, so that a corrected film is known again.
        file: SHA-256 of its file in hexadecimal.
        is_dicom: whether that file is a DICOM file.
        is_turned: whether that file has an orientation other than the one it is stored in.
        patient: a pseudonym by a DICOM film's own patient; "" where there is none.
    """

    greys: bytes
    file: str
    is_dicom: bool
    is_turned: bool
    patient: str = ""


@dataclass(frozen=True)
class Seen:
    """A source's films that can be decoded, with their pictures."""

    source: Source
    pictures: tuple[Picture, ...]


def look_at(sources: Sequence[Source]) -> list[Seen]:
    """Decodes every film; drops those that cannot be, or are not of the size of their outlines.

    Raises:
        OSError: for a file that cannot be read from the disk.
    """
    total = sum(len(source.films) for source in sources)
    with tqdm(total=total, desc="reading films", unit="film") as progress:
        return [_look_at(source, progress) for source in sources]


def _look_at(source: Source, progress: tqdm[Never]) -> Seen:
    films, pictures = [], []
    with ThreadPoolExecutor() as pool:  # codecs decode without Python's lock
        looks = pool.map(_picture, source.films)
        for film, picture in zip(source.films, looks, strict=True):
            progress.update()
            if isinstance(picture, Picture):
                films.append(film)
                pictures.append(picture)
            else:
                lost = len(film.record.annotations)
                source.ledger.drop(str(picture), films=1, instances=lost)
    return Seen(replace(source, films=tuple(films)), tuple(pictures))


def _picture(film: Film) -> Picture | DatasetError:
    try:
        greys = read_radiograph(film.record)
    except DatasetError as error:
        return error
    if greys.dtype == np.uint16:
        greys = (greys >> 8).astype(np.uint8)
    content = film.record.path.read_bytes()
    digest = hashlib.sha256(str(greys.shape).encode())
    digest.update(greys.tobytes())
    file = hashlib.sha256(content).hexdigest()
    is_dicom = sniff(content) == "dicom"
    patient = patient_pseudonym(content) if is_dicom else ""
    return Picture(digest.digest(), file, is_dicom, orientation(content) != 1, patient)
