"""Masks in whatever form a PNG can have: the same shapes arrive, and no grey is an object."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from datasets.gather.__main__ import main
from datasets.gather.layouts.soft_edges import harden
from tests.support.exports import (
    SHAPES,
    Mask,
    film,
    gathered,
    label_map,
    mask_of,
    put_films,
    put_palette,
    put_png,
    put_text,
    renamed,
    truth,
)

Writer = Callable[[Path, Mask], object]


def with_alpha(colour: tuple[int, int, int], *, opaque: bool = False) -> Writer:
    """A mask that is as opaque as its object is there, in one colour; or all of it is opaque."""

    def write(path: Path, mask: Mask) -> None:
        pixels = np.zeros((*mask.shape, 4), np.uint8)
        pixels[..., :3] = colour
        pixels[..., :3] *= mask[..., None] if opaque else 1
        pixels[..., 3] = 255 if opaque else mask * 100
        put_png(path, pixels)

    return write


def jpeg_once(path: Path, mask: Mask) -> None:
    """A mask that has been a JPEG file."""
    packed = cv2.imencode(".jpg", mask * np.uint8(255), [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    put_png(path, np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)))


def one_bit(path: Path, mask: Mask) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), mask * np.uint8(255), [cv2.IMWRITE_PNG_BILEVEL, 1])


def put_masks(folder: Path, write: Writer) -> Path:
    put_films(folder / "images")
    for name, shapes in SHAPES.items():
        for number, (label, box) in enumerate(shapes):
            write(folder / "masks" / label / f"{name}_{number}.png", mask_of(box))
    return folder


@pytest.mark.parametrize(
    "write",
    [
        with_alpha((255, 255, 255)),
        with_alpha((0, 0, 0)),
        with_alpha((0, 0, 255)),
        with_alpha((0, 0, 255), opaque=True),
        lambda path, mask: put_palette(
            path, mask.astype(np.uint8), {0: (255, 255, 255), 1: (9, 9, 9)}
        ),
        lambda path, mask: put_palette(path, mask.astype(np.uint8) * 7, {}),  # all entries black
        lambda path, mask: put_png(path, mask.astype(np.uint16) * 300),
        one_bit,
        jpeg_once,
    ],
)
def test_forms_of_a_mask(write: Writer, tmp_path: Path) -> None:
    assert main([str(put_masks(tmp_path / "a", write)), "--out", str(tmp_path / "out")]) == 0
    assert gathered(tmp_path / "out") == truth()


def thin() -> npt.NDArray[np.uint8]:
    """A vessel one pixel and a half wide, of which few pixels are full."""
    large = np.zeros((480, 640), np.uint8)
    cv2.polylines(large, [np.array([[30, 40], [300, 400], [600, 50]])], False, 255, 12)
    return np.asarray(cv2.resize(large, (64, 48), interpolation=cv2.INTER_AREA), np.uint8)


def blurred(most: int, sigma: float) -> npt.NDArray[np.uint8]:
    mask = mask_of((8, 8, 50, 40)) * np.uint8(most)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.uint8)


@pytest.mark.parametrize(
    "soft", [thin(), blurred(255, 0.7), blurred(254, 1), blurred(100, 1), blurred(255, 5)]
)
@pytest.mark.parametrize("scale", [1, 1 << 8, 1 << 16])  # in one channel of a colour
def test_soft_edges_are_no_objects(soft: npt.NDArray[np.uint8], scale: int) -> None:
    hard = harden(soft.astype(np.uint32) * np.uint32(scale))
    assert hard is not None
    assert np.array_equal(hard, 2 * soft.astype(int) > soft.max())


def test_numbers_are_no_soft_edges() -> None:
    tiles = np.arange(192, dtype=np.uint32).reshape(12, 16)
    assert harden(np.kron(tiles, np.ones((4, 4), np.uint32))) is None  # which touch each other
    lines = np.zeros((48, 64), np.uint32)
    lines[::4] = np.arange(12)[:, None] * 20  # thin, apart
    assert harden(lines) is None


@pytest.mark.parametrize("colours", [(100, 255), (0xFF0000, 0x00FF00)])
def test_several_objects_with_soft_edges_are_refused(colours: tuple[int, int]) -> None:
    labels = np.zeros((48, 64), np.uint32)
    for colour, box in zip(colours, [(2, 2, 28, 40), (34, 4, 60, 44)], strict=True):
        channels = [
            (colour >> place & 255) * mask_of(box).astype(np.float32) for place in (0, 8, 16)
        ]
        blur = [cv2.GaussianBlur(one, (5, 5), 0).astype(np.uint32) for one in channels]
        labels += blur[0] | blur[1] << np.uint32(8) | blur[2] << np.uint32(16)
    with pytest.raises(ValueError, match="its objects have soft edges"):
        harden(labels)


@pytest.mark.parametrize(
    ("bolt", "nut"),
    [((192, 192, 192), (64, 64, 64)), ((255, 255, 255), (64, 0, 64)), ((1, 1, 1), (2, 2, 2))],
)
def test_class_colours_may_be_grey_or_white(
    bolt: tuple[int, int, int], nut: tuple[int, int, int], tmp_path: Path
) -> None:
    source = put_films(tmp_path / "a" / "JPEGImages").parent
    colours = {"bolt": bolt, "nut": nut}
    lines = [f"{name}:{','.join(map(str, colour))}::" for name, colour in colours.items()]
    put_text(source / "labelmap.txt", "\n".join(["background:0,0,0::", *lines]))
    for name, shapes in SHAPES.items():
        classes = np.zeros((48, 64, 3), np.uint8)
        for label, box in shapes:
            classes[mask_of(box)] = colours[label][::-1]
        put_png(source / "SegmentationClass" / f"{name}.png", classes)
        put_png(source / "SegmentationObject" / f"{name}.png", label_map(name))
    assert main([str(source), "--out", str(tmp_path / "out")]) == 0
    assert gathered(tmp_path / "out") == truth()


def test_letters_with_accents_are_the_same_in_both_of_their_spellings(tmp_path: Path) -> None:
    put_png(tmp_path / "a" / "images" / unicodedata.normalize("NFC", "é.png"), film("b"))
    mask = tmp_path / "a" / "masks" / "bolt" / unicodedata.normalize("NFD", "é_1.png")
    put_png(mask, label_map("b"))
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    assert [mask for _, _, mask in gathered(tmp_path / "out")] == [
        mask_of((8, 8, 40, 40)).tobytes()
    ]


@pytest.mark.parametrize(
    ("films", "masks"),
    [
        ("PNG", "masks"),
        ("segmentation/images", "segmentation/masks"),
        ("chest_masks/images", "chest_masks/gt"),
    ],
)
def test_folders_that_tell_no_mask(films: str, masks: str, tmp_path: Path) -> None:
    put_films(tmp_path / "a" / films)
    for name in SHAPES:
        put_png(tmp_path / "a" / masks / f"{name}.png", label_map(name))
    arguments = [str(tmp_path / "a"), "--out", str(tmp_path / "out"), "--class", "part"]
    assert main(arguments) == 0
    assert gathered(tmp_path / "out") == renamed(truth(), bolt="part", nut="part")


def test_folders_behind_links(tmp_path: Path) -> None:
    put_masks(tmp_path / "real", lambda path, mask: put_png(path, mask * np.uint8(255)))
    (tmp_path / "a").mkdir()
    for name in ("images", "masks"):
        (tmp_path / "a" / name).symlink_to(tmp_path / "real" / name)
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    assert gathered(tmp_path / "out") == truth()
