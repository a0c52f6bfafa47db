"""Names of mask files, as common data sets have them."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from datasets.gather.layouts.mask_names import FilmNames, class_of, is_mask

HASH = "07a9bf1d7594af2763c86e93f05d22c4d5181353c6d3ab30a345b908ffe5aadc"


@pytest.mark.parametrize(
    ("film", "mask", "name"),
    [
        ("images/a.png", "masks/a.png", ""),
        ("images/a.png", "Masks/a.png", ""),
        ("images/a.jpg", "masks/a_12.png", ""),
        ("images/a.dcm", "masks/lung/a.png", "lung"),
        ("images/a.png", "masks/left lung/a.png", "left lung"),
        ("images/a.png", "masks/a_left_lung.png", "left_lung"),
        ("images/a.png", "masks/a-lung-3.png", "lung"),
        ("images/a.png", "masks/lung/a_mask.png", "lung"),
        ("images/a.png", "masks/a/heart.png", "heart"),
        ("images/a.png", "masks/a/0001.png", ""),
        ("images/a.png", "label-maps/films-0123456789abcdef/a.png.png", ""),
        ("a.png", "a_mask.png", ""),
        ("a.png", "a-label.png", ""),
        ("a.png", "a_heart_mask_2.png", "heart"),
        ("CXR_png/MCUCXR_0001_0.png", "ManualMask/leftMask/MCUCXR_0001_0.png", "leftMask"),
        ("CXR_png/CHNCXR_0001_0.png", "mask/CHNCXR_0001_0_mask.png", ""),
        ("stage1/07a9/images/07a9.png", f"stage1/07a9/masks/{HASH}.png", ""),
        ("images/p1/film.png", "masks/p1/film.png", ""),
        ("images/p1/film.png", "masks/p1/lung/film.png", "lung"),
        ("p1/images/film.png", "p1/masks/film_1.png", ""),
        ("images/train/a.png", "masks/train/lung/a.png", "lung"),
        ("PNG/a.png", "masks/a.png", ""),
        ("p1/image.png", "p1/mask_00.png", ""),
        ("p1/image.png", "p1/lung_mask_00.png", "lung"),
        ("p1/images/image.png", "p1/masks/mask.png", ""),
        ("images/1.2.840.1", "masks/1.2.840.1_lung.png", "lung"),
        ("images/train/a.png", "masks/lung/train/a.png", "lung"),
        ("images/Ölung ä.png", "masks/Ölung ä_Herz.png", "Herz"),
    ],
)
def test_masks_of_common_data_sets(film: str, mask: str, name: str) -> None:
    path, other = PurePosixPath(mask), PurePosixPath(film)
    assert is_mask(path)
    assert not is_mask(other)
    names = FilmNames([other, PurePosixPath("images/p2/film.png"), PurePosixPath("p3/other.png")])
    found, rest = names.film_of(path)
    assert (found, class_of(path, found, rest)) == (other, name)


def test_the_longest_name_counts() -> None:
    films = [PurePosixPath(f"images/{name}.png") for name in ("a", "a_1", "a_1_2")]
    found, rest = FilmNames(films).film_of(PurePosixPath("masks/a_1_lung.png"))
    assert (found, rest) == (films[1], "_lung")


@pytest.mark.parametrize(
    ("films", "mask"),
    [
        (["images/1.2.840.1"], "masks/1.2.840.2.png"),
        (["images/a.png", "images/a_1.png"], "masks/a_2.png"),  # of `a`, or of a film not there
        (["p1/image.png"], "p1/masks/film2.png"),
    ],
)
def test_masks_of_a_film_that_is_not_there(films: list[str], mask: str) -> None:
    with pytest.raises(ValueError, match=r"not there|no film of its name"):
        FilmNames(map(PurePosixPath, films)).film_of(PurePosixPath(mask))


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [("masks/film.png", "several films of one name"), ("masks/filming.png", "no film of its name")],
)
def test_masks_of_no_film(mask: str, sentence: str) -> None:
    films = [PurePosixPath(f"images/{name}/film.png") for name in ("p1", "p2")]
    with pytest.raises(ValueError, match=sentence):
        FilmNames(films).film_of(PurePosixPath(mask))


@pytest.mark.parametrize(
    "path", ["film.png", "images/mask_of_zorro/a.dcm", "unmasked/a.png", "labeled.png", "mask.png"]
)
def test_films_that_are_no_masks(path: str) -> None:
    assert not is_mask(PurePosixPath(path))
