"""Patients of DICOM films: told apart by a hash where nobody named them."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets.gather.__main__ import main
from datasets.gather.pseudonym import patient_pseudonym
from model.data.coco import load_coco
from tests.support.coco_folder import annotation, document, image, write
from tests.support.seg_files import Frame, Segment, seg_file
from tests.support.seg_folder import film, film_uid, folder, gather, noise


def seg(*numbers: int) -> bytes:
    frames = [Frame(noise(number), 1, [(film_uid(number), None)]) for number in numbers]
    return seg_file([Segment("lung")], frames)


def patients(out: Path) -> list[str]:
    return [record.patient for record in load_coco(out).images]


def test_films_of_one_patient_id_are_of_one_patient(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(
        tmp_path / "in",
        a=film(1, PatientID="7"),
        b=film(2, PatientID="7 ", IssuerOfPatientID="another", PatientName="X"),
        c=film(3, PatientID="8"),
        seg=seg(1, 2, 3),
    )
    gather(source, out=tmp_path / "out")
    first, second, third = patients(tmp_path / "out")
    assert first == second != third
    assert "by a hash of the films' Patient ID: 2, of 3 films." in capsys.readouterr().out


@pytest.mark.parametrize("nobody", ["", "ANONYMOUS", "Anonymized", "000", "unknown"])
def test_without_an_id_films_of_one_study_are_of_one_patient(nobody: str, tmp_path: Path) -> None:
    source = folder(
        tmp_path / "in",
        a=film(1, PatientID=nobody, StudyInstanceUID="1.2.1"),
        b=film(2, PatientID=nobody, StudyInstanceUID="1.2.1"),
        c=film(3, PatientID=nobody, StudyInstanceUID="1.2.2"),
        seg=seg(1, 2, 3),
    )
    gather(source, out=tmp_path / "out")
    first, second, third = patients(tmp_path / "out")
    assert first == second != third


def test_a_film_that_says_neither_or_is_none_has_no_pseudonym() -> None:
    bare = film(1, PatientID="", StudyInstanceUID="")
    assert patient_pseudonym(bare) == patient_pseudonym(b"") == ""


def test_a_patient_that_a_source_names_counts(tmp_path: Path) -> None:
    entries = [
        image(id=n, file_name=f"{n}.dcm", height=13, width=19, patient_id=name)
        for n, name in ((1, "p1"), (2, None))
    ]
    outline = [[2, 2, 9, 2, 9, 9]]
    objects = [annotation(id=n, image_id=n, segmentation=outline) for n in (1, 2)]
    named = write(tmp_path / "named", document(images=entries, annotations=objects), {})
    for n in (1, 2):
        (named / f"{n}.dcm").write_bytes(film(n))
    labelled = folder(tmp_path / "in", a=film(1), b=film(3), seg=seg(1, 3))
    assert main([str(named), str(labelled), "--out", str(tmp_path / "out")]) == 0
    assert patients(tmp_path / "out") == ["p1", "p1", "p1"]  # all have the same Patient ID
