"""Pseudonyms of patients: films of one patient stay in one fold though nobody named the patient."""

from __future__ import annotations

import hashlib
import re
from functools import cache

from pydicom.datadict import tag_for_keyword

from solo.decoding.dicom.elements import code
from solo.decoding.dicom.file import parse_dicom
from solo.errors import SoloError

_PATIENT_ID = tag_for_keyword("PatientID") or 0
_SALT = b"SOLO X-ray: patients of films"
_DIGITS = 16
# What anonymisers write in its place, the same for every patient.
_NOBODY = re.compile(rb"(anon(ym(ous|i[sz]ed))?|unknown|none|n/?a|0*|x*)", re.IGNORECASE)


def patient_pseudonym(film: bytes) -> str:
    """A hash of a film's Patient ID, or where that names nobody of its study; "" without either.

    Issuers do not count: a patient taken for two may come into two folds, while two taken for one
    do no harm.

    Args:
        film: the whole file.
    """
    try:
        dataset = parse_dicom(film).dataset
    except SoloError:
        return ""
    patient = dataset.get(_PATIENT_ID)
    name = patient.value.strip(b"\0 ") if patient else b""
    is_named = not _NOBODY.fullmatch(name)
    return _hash(name if is_named else code(dataset, "StudyInstanceUID").encode())


@cache
def _hash(name: bytes) -> str:
    """Slow by intent: a short number is found again by trying all, which takes days so."""
    if not name:
        return ""
    return hashlib.scrypt(name, salt=_SALT, n=2**14, r=8, p=1).hex()[:_DIGITS]
