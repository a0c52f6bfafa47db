"""Gathered data sets: what arrives, under which numbers, and what is said of the rest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from datasets.doctor.__main__ import main as ask_the_doctor
from datasets.gather.__main__ import main
from model.data.coco import CocoDataset, DatasetError, load_coco
from model.data.radiograph import read_radiograph
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from tests.support.coco_folder import (
    DISC,
    SIZE,
    SQUARE,
    Document,
    annotation,
    compressed,
    document,
    image,
    rectangle_mask,
    write,
)
from tests.support.dicom import dicom_file

PATTERN = np.add.outer(np.arange(SIZE[0]), np.arange(SIZE[1])).astype(np.uint8)


def film(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture that no other number gives."""
    return PATTERN + np.uint8(number)


def make(folder: Path, *numbers: int, masks: bool = False, **changes: Any) -> Path:
    """Films `<number>.png`, each with a square whose place depends on the number and the form."""
    images = [image(id=n, file_name=f"{n}.png", patient_id=f"p{n}") for n in numbers]
    outlines = [
        compressed(rectangle_mask(n, 5, n + 20, 30)) if masks else [[0, n, 20, n, 20, 20 + n]]
        for n in numbers
    ]
    annotations = [
        annotation(id=n, image_id=n, segmentation=outline)
        for n, outline in zip(numbers, outlines, strict=True)
    ]
    content = document(**{"images": images, "annotations": annotations, **changes})
    return write(folder, content, {f"{n}.png": film(n) for n in numbers})


def gather(*sources: Path, out: Path) -> CocoDataset:
    assert main([*map(str, sources), "--out", str(out)]) == 0
    return load_coco(out)


def content(data: CocoDataset) -> dict[bytes, Any]:
    """By each film's bytes all that training sees, without numbers."""
    return {
        record.path.read_bytes(): (
            record.patient,
            record.spacing_mm,
            sorted(
                (data.class_names[item.label], repr(item.rle), [r.tolist() for r in item.polygons])
                for item in record.annotations
            ),
        )
        for record in data.images
    }


def balance(text: str) -> list[tuple[int, int, str]]:
    rows = [line.split(maxsplit=2) for line in text.splitlines()[1:] if not line.startswith("-")]
    return [(int(films), int(instances), rest) for films, instances, rest in rows]


def refusal(capsys: pytest.CaptureFixture[str], *sources: Path, out: Path) -> str:
    """What is said of sources that are refused, after which nothing is there."""
    assert main([*map(str, sources), "--out", str(out)]) == 1
    assert not out.exists()
    return "\n".join(
        line for line in capsys.readouterr().err.splitlines() if "|" not in line
    ).strip()


def test_the_later_source_counts_where_two_show_the_same_film(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, corrected = make(tmp_path / "old", 1, 2, 3), make(tmp_path / "new", 2, 8, masks=True)
    gather(old, corrected, out=tmp_path / "out")
    text = capsys.readouterr().out

    coco = COCO(tmp_path / "out" / "annotations.json")
    names = {entry["id"]: entry["file_name"] for entry in coco.loadImgs(coco.getImgIds())}
    assert names == {number: f"images/{number}.png" for number in (1, 2, 3, 8)}
    for number, source in {1: old, 2: corrected, 3: old, 8: corrected}.items():
        (found,) = coco.loadAnns(coco.getAnnIds(number))
        before = COCO(source / "annotations.json")
        (given,) = before.loadAnns(before.getAnnIds(number))
        assert np.array_equal(coco.annToMask(found), before.annToMask(given))
        copied = tmp_path / "out" / names[number]
        assert copied.read_bytes() == (source / f"{number}.png").read_bytes()
    assert balance(text) == [
        (3, 3, f"in {old}"),
        (-1, -1, f"the same film is in {corrected} too, which counts"),
        (2, 2, f"in {corrected}"),
        (4, 4, f"in {tmp_path / 'out'}"),
    ]


@pytest.mark.parametrize("masks", [False, True])
def test_one_clean_set_stays_as_it_is(tmp_path: Path, masks: bool) -> None:
    given = load_coco(make(tmp_path / "one", 5, 3, 9, masks=masks))
    found = gather(tmp_path / "one", out=tmp_path / "out")
    assert content(found) == content(given)
    for one, other in zip(found.images, given.images, strict=True):
        assert (one.image_id, one.patient, one.frame) == (other.image_id, other.patient, 0)
        for item, same in zip(one.annotations, other.annotations, strict=True):
            assert (item.annotation_id, item.label, item.area, item.outline_box) == (
                (same.annotation_id, same.label, same.area, same.outline_box)
            )
    assert (found.class_names, found.category_ids) == (given.class_names, given.category_ids)


def test_gathering_what_was_gathered_changes_nothing(tmp_path: Path) -> None:
    sources = make(tmp_path / "a", 1, 2), make(tmp_path / "b", 2, 3, masks=True)
    gather(*sources, out=tmp_path / "once")
    gather(tmp_path / "once", out=tmp_path / "twice")
    once, twice = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("once", "twice")
    )
    assert once == twice


def test_the_order_decides_on_films_in_several_sources_alone(tmp_path: Path) -> None:
    classes = ([{"id": 1, "name": "disc"}], [{"id": 1, "name": "bolt"}], [{"id": 7, "name": "x"}])
    sources = []
    for number, categories in enumerate(classes):
        source = make(tmp_path / str(number), number + 1, number + 11, categories=categories)
        file = source / "annotations.json"
        entries = json.loads(file.read_text())
        for entry in entries["annotations"]:
            entry["category_id"] = categories[0]["id"]
        file.write_text(json.dumps(entries))
        sources.append(source)
    found = [
        content(gather(*order, out=tmp_path / f"out{number}"))
        for number, order in enumerate(permutations(sources))
    ]
    assert len(found[0]) == 6
    assert all(other == found[0] for other in found)


def test_a_corrected_film_keeps_its_number_and_what_only_the_older_source_knows(
    tmp_path: Path,
) -> None:
    """As the page saves it: greys in 8 bits, without the identity that the DICOM file has."""
    pixels = np.add.outer(np.arange(80), 40 * np.arange(100)).astype(np.uint16)
    dicom = dicom_file(pixels)
    known = image(
        file_name="film.dcm", patient_id=17, pixel_spacing_mm=[0.2, 0.3], license="CC0", url=5
    )
    old = write(tmp_path / "old", document(images=[known]), {})
    (old / "film.dcm").write_bytes(dicom)
    greys = decode(dicom, Limits(1 << 20)).pixels
    assert greys.dtype == np.uint16
    saved = image(id=1, file_name="images/0123456789abcdef.png")
    mask = compressed(rectangle_mask(3, 4, 30, 40))
    page = document(images=[saved], annotations=[annotation(image_id=1, segmentation=mask)])
    pictures = {"images/0123456789abcdef.png": (greys >> 8).astype(np.uint8)}
    corrected = write(tmp_path / "new", page, pictures)

    (record,) = gather(old, corrected, out=tmp_path / "out").images
    assert record.path.name == "0123456789abcdef.png"
    assert (record.image_id, record.patient, record.spacing_mm) == (7, "17", (0.2, 0.3))
    (entry,) = COCO(tmp_path / "out" / "annotations.json").dataset["images"]
    assert (entry["license"], "url" in entry) == ("CC0", False)
    assert record.annotations[0].rle is not None
    assert record.annotations[0].area == 27 * 36


def test_films_of_one_name_both_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, number in (("a", 1), ("b", 2)):
        write(tmp_path / folder, document(), {"film.png": film(number)})
    found = gather(tmp_path / "a", tmp_path / "b", out=tmp_path / "out")
    for record, number in zip(found.images, (1, 2), strict=True):
        assert np.array_equal(read_radiograph(record), film(number))
    assert "No film has a patient: each counts as one of its own" in capsys.readouterr().out
    assert {record.patient for record in found.images} == {  # nobody's films are of two persons
        f"the one of image {record.image_id}" for record in found.images
    }
    assert len({record.image_id for record in found.images}) == 2


def test_odd_names_are_replaced(tmp_path: Path) -> None:
    names = ["50%2e.png", "a\nb.png", "a..b.png", "x" * 200 + ".png", "ä b.png"]
    images = [image(id=n, file_name=name) for n, name in enumerate(names, 1)]
    films = {name: film(n) for n, name in enumerate(names, 1)}
    source = write(
        tmp_path / "a", document(images=images, annotations=[annotation(image_id=1)]), films
    )
    found = gather(source, out=tmp_path / "out")
    assert [bytes(r.path.read_bytes()) for r in found.images] == [
        (source / name).read_bytes() for name in names
    ]
    assert found.images[4].path.name == "ä b.png"


def test_classes_are_merged_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = [{"id": 9, "name": "disc"}, {"id": 4, "name": "square"}, {"id": 3, "name": "bolt"}]
    one = make(tmp_path / "one", 1)
    two = make(
        tmp_path / "two",
        2,
        categories=others,
        annotations=[annotation(id=5, image_id=2, category_id=key) for key in (9, 4, 3)],
    )
    found = gather(one, two, out=tmp_path / "out")
    assert dict(zip(found.class_names, found.category_ids, strict=True)) == {
        "disc": DISC,
        "square": SQUARE,
        "bolt": 1,
    }
    labels = [found.class_names[item.label] for item in found.images[1].annotations]
    assert labels == ["disc", "square", "bolt"]
    text = capsys.readouterr().out
    assert f"'bolt' is no class of {one}: where its films show one, it counts as background" in text
    assert f"'disc' is category 3, which is 9 in {two}" in text


def test_names_that_differ_by_case_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = (
        make(tmp_path / "a", 1),
        make(tmp_path / "b", 2, categories=[{"id": 9, "name": "Square"}]),
    )
    said = refusal(capsys, *sources, out=tmp_path / "out")
    assert said == (
        "the category names 'square', 'Square' differ by case, blanks or underscores alone: "
        "give them one name in their sources"
    )


def test_patients_of_several_sources_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def patient(n: int, name: str) -> Document:
        return image(id=n, file_name=f"{n}.png", patient_id=name)

    one = make(tmp_path / "a", 1, 2, images=[patient(1, "x"), patient(2, "y")])
    two = make(tmp_path / "b", 2, 3, images=[patient(2, "z"), patient(3, "x")])
    found = gather(one, two, out=tmp_path / "out")
    assert [record.patient for record in found.images] == ["x", "z", "x"]
    text = capsys.readouterr().out
    assert "Patient ids in several sources: 1. Each is taken for one patient." in text
    assert "Films with several patient ids: 1. The last one counts" in text


def test_frames_stay_frames_of_their_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.stack([np.rot90(PATTERN.astype(np.uint16) * 9, 2 * n) for n in range(2)])
    images = [image(id=n, file_name="cine.dcm", frame=n, frames=2) for n in range(2)]
    source = write(
        tmp_path / "a", document(images=images, annotations=[annotation(image_id=1)]), {}
    )
    (source / "cine.dcm").write_bytes(dicom_file(pixels))
    found = gather(source, out=tmp_path / "out")
    assert [(r.path.name, r.frame) for r in found.images] == [("cine.dcm", 0), ("cine.dcm", 1)]
    assert [len(record.annotations) for record in found.images] == [0, 1]
    assert "2 of the films are DICOM files, which carry the patient's identity." in (
        capsys.readouterr().out
    )


def test_the_balance_of_what_was_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def square(key: int, of: object, **changes: object) -> Document:
        return annotation(id=key, image_id=of, **changes)

    empty = compressed(np.zeros(SIZE, np.uint8, order="F"))
    names = {1: "1.png", 2: "2.png", 3: "lost.png", 4: "4.png", 5: "5.png", 6: "6.png", 7: "1b.png"}
    images = [image(id=key, file_name=name) for key, name in names.items()]
    images += [image(id=8, file_name="8.png", height=0), {"file_name": "no id"}]
    annotations = [
        square(1, 1), square(1, 1, segmentation=[[1, 1, 9, 1, 9, 9]]),  # an id twice harms nobody
        square(3, 1, segmentation=empty), square(4, 1, segmentation=empty),
        square(5, 1, iscrowd=1), square(6, 1, category_id=77), square(7, 3), square(8, 3),
        square(9, 3, segmentation=[]), square(10, 4), square(11, 5), square(12, 99),
        square(13, None), square(14, 7), square(15, 8), 5,
    ]  # fmt: skip
    content = document(images=images, annotations=annotations)
    films = {f"{n}.png": film(n) for n in (1, 2, 6, 8)} | {"5.png": film(5)[:, :50]}
    source = write(tmp_path / "a", content, {**films, "1b.png": film(1)})
    (source / "4.png").write_bytes(b"not a picture")

    found = gather(source, out=tmp_path / "out")
    rows = balance(capsys.readouterr().out)
    assert rows[0][:2] == (len(images), len(annotations))
    assert rows[-1][:2] == (3, sum(len(record.annotations) for record in found.images)) == (3, 1)
    assert rows[-1][:2] == tuple(np.sum([row[:2] for row in rows[:-1]], axis=0))
    reasons = {text: (films, instances) for films, instances, text in rows[1:-1]}
    expected = {
        "its mask is empty, and 1 more like it": (0, -2),
        "crowd regions": (0, -1),
        "it is of category 77": (0, -1),
        "there is no file 'lost.png'": (-1, -2),
        "has no 'segmentation'": (0, -1),
        "image 4 cannot be decoded": (-1, -1),
        "image 5 is 80 x 50 pixels": (-1, -1),
        "annotation 12 is of image 99": (0, -1),
        "annotation 13 has no integer 'image_id'": (0, -1),
        "annotation number 15 is not an object": (0, -1),
        "image 8 has no valid 'height' and 'width'": (-1, -1),
        "image number 8 has no integer 'id'": (-1, 0),
        "comes again, and the last counts": (-1, -2),
    }
    assert len(reasons) == len(expected)
    for words, numbers in expected.items():
        assert [reasons[text] for text in reasons if words in text] == [numbers], words


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": [image(), image()]}, "image id 7 is used 2 times"),
        ({"images": []}, "the data set has no images"),
        ({"categories": []}, "the data set has no categories"),
        ({"annotations": []}, "No image shows an object: there is nothing to train on."),
        ({"annotations": [annotation(segmentation=[[0, 0, 0.5, 0, 0.5, 0.5]])]}, "as YOLO has"),
        ({"images": 3}, "annotations.json has no list 'images'"),
    ],
)
def test_unclear_sources_are_refused(
    changes: Document, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "a", document(**changes), {"film.png": film(1)})
    assert sentence in refusal(
        capsys,
        make(tmp_path / "ok", 1) if "used" in sentence else source,
        source,
        out=tmp_path / "out",
    )


def test_the_result_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = make(tmp_path / "a", 1, 2), tmp_path / "out"
    copy: Callable[..., object] = shutil.copyfile
    copied: list[object] = []

    def interrupted(*paths: object) -> object:
        if copied:
            with pytest.raises(DatasetError, match="holds no JSON file"):
                load_coco(out)  # as after SIGKILL
            raise KeyboardInterrupt
        copied.append(paths)
        return copy(*paths)

    monkeypatch.setattr(shutil, "copyfile", interrupted)
    assert main([str(source), "--out", str(out)]) == 130
    assert copied
    assert not out.exists()
    out.mkdir()
    assert main([str(source), "--out", str(out)]) == 130
    assert list(out.iterdir()) == []
    assert "interrupted: nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["annotations.json", "images/1.png", ".hidden"])
def test_nothing_is_overwritten(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    assert main([str(make(tmp_path / "a", 1)), "--out", str(out)]) == 1
    assert f"{out / Path(name).parts[0]} is there: nothing is over" in capsys.readouterr().err
    assert [path.read_text() for path in out.rglob("*") if path.is_file()] == ["mine"]


def test_the_doctor_takes_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gather(make(tmp_path / "a", 1, 2), make(tmp_path / "b", 3), out=tmp_path / "out")
    assert ask_the_doctor(["--data", str(tmp_path / "out"), "--preset", "cxr-lungs"]) == 0
    assert "3 images, 3 objects of 2 classes" in capsys.readouterr().out
