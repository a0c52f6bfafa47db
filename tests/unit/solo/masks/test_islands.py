"""Islands: which pieces of a mask go, and that nothing else does."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solo.masks.islands import remove_islands

Mask = npt.NDArray[np.uint8]
Pixel = tuple[int, int]
NEAR = 4  # empty pixels between two pieces that belong together


def drawn(*rows: str) -> Mask:
    """A soft mask of 220 where there is a #, of 90 at a +, and of 0 elsewhere."""
    values = {"#": 220, "+": 90, ".": 0}
    return np.array([[[values[letter] for letter in row] for row in rows]], np.uint8)


def test_a_dot_far_away_goes() -> None:
    mask = drawn(
        "####............",
        "####......+##+..",
        "####......+##+..",
    )
    assert remove_islands(mask, 3, 0.5) is mask
    expected = mask.copy()
    expected[0, 1:, 11:13] = 0  # and the haze around it stays, which is below the threshold
    np.testing.assert_array_equal(remove_islands(mask, 4, 0.5), expected)
    np.testing.assert_array_equal(remove_islands(mask.copy(), 0, 0.5), mask)


@pytest.mark.parametrize(
    "rows",
    [
        ("#####....##....#",),  # each is near another: a thin line that breaks
        ("#####...........", "................", ".........#......"),  # along both axes
        ("#######.........", ".......#........", "........#......."),  # joined at corners
        ("######....#####.", "................"),  # more pixels than an island has
        ("######.....##.##",),  # together more pixels than an island has
        ("##.....##.......",),  # neither is the larger
        ("................",),
        ("################",),
    ],
)
def test_what_belongs_to_the_mask_stays(rows: tuple[str, ...]) -> None:
    mask = drawn(*rows)
    assert remove_islands(mask, 3, 0.5) is mask


def test_of_tiny_pieces_the_largest_stays() -> None:
    mask = drawn("##.......#......#")
    np.testing.assert_array_equal(remove_islands(mask, 12, 0.5), drawn("##..............."))


def test_the_threshold_says_what_a_piece_is() -> None:
    mask = drawn("####+++++++##")
    assert remove_islands(mask, 2, 0.3) is mask
    np.testing.assert_array_equal(remove_islands(mask, 2, 0.5), drawn("####+++++++.."))
    assert remove_islands(mask, 2, 0.9) is mask  # nothing is above


def test_each_mask_is_looked_at_by_itself() -> None:
    masks = np.concatenate([drawn("###.......#"), drawn(".......####"), drawn("#.......###")])
    expected = np.concatenate([drawn("###........"), drawn(".......####"), drawn("........###")])
    np.testing.assert_array_equal(remove_islands(masks, 1, 0.5), expected)
    empty = np.empty((0, 4, 4), np.uint8)
    assert remove_islands(empty, 4, 0.5) is empty


def pieces(mask: npt.NDArray[np.bool_], reach: int) -> list[set[Pixel]]:
    """Pixels that are joined by steps of at most `reach` along each axis."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = []
    while left:
        piece = new = {left.pop()}
        while new:
            new = {
                one
                for one, (y, x) in product(left, new)
                if max(abs(one[0] - y), abs(one[1] - x)) <= reach
            }
            left -= new
            piece |= new
        found.append(piece)
    return found


@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 14),
    width=st.integers(1, 30),
    share=st.floats(0, 0.15),
    most=st.integers(0, 12),
    threshold=st.sampled_from([0.2, 0.5, 0.6, 0.9]),
)
@settings(max_examples=200, deadline=None)
def test_it_is_what_pixel_by_pixel_gives(
    seed: int, height: int, width: int, share: float, most: int, threshold: float
) -> None:
    random = np.random.default_rng(seed)
    soft = random.integers(0, 100, (1, height, width), dtype=np.uint8)
    soft[random.random(soft.shape) < share] = 240
    soft[:, : height // 2, : width // 4] = 200
    before = soft.copy()
    found = remove_islands(soft, most, threshold)
    np.testing.assert_array_equal(soft, before)
    inside = soft[0] > 255 * threshold
    single = pieces(inside, 1)
    largest = max(map(len, single), default=0)
    kept = set().union(*(piece for piece in single if len(piece) == largest))
    expected = soft[0].copy()
    for group in pieces(inside, NEAR + 1):
        if len(group) <= most and not group & kept:
            for pixel in group:
                expected[pixel] = 0
    np.testing.assert_array_equal(found[0], expected)
    assert (found is soft) == (found == soft).all()
    assert all(found[0][pixel] == soft[0][pixel] for pixel in kept)
