"""For each direction a plain convolutional network and a CoordConv one, as the paper has them."""

from __future__ import annotations

import itertools
from typing import cast

from torch import Tensor, nn

from model.network.coord_conv import append_coordinates

_DRAW_WIDTHS = (32, 32, 64, 64, 1)
_READ_WIDTH = 16
_PLAIN_WIDTH = 64


class PlainDrawer(nn.Sequential):
    """A place to a picture by transposed convolutions that double from one pixel up.

    Args:
        side: of the picture, a power of two.
    """

    def __init__(self, side: int) -> None:
        doublings = side.bit_length() - 1
        widths = [2] + [_PLAIN_WIDTH] * (doublings - 3) + [_PLAIN_WIDTH // 2] * 2 + [1]
        super().__init__(nn.Unflatten(1, (2, 1, 1)))
        for index, (width, following) in enumerate(itertools.pairwise(widths)):
            if index:
                self.append(nn.ReLU())
            self.append(nn.ConvTranspose2d(width, following, 4, stride=2, padding=1))


class CoordinateDrawer(nn.Module):
    """A place to a picture by 1 x 1 convolutions of the place and the pixel's coordinates.

    Args:
        side: of the picture.
        coordinates: whether they are there; without them every pixel sees the same.
    """

    def __init__(self, side: int, *, coordinates: bool = True) -> None:
        super().__init__()
        self.side, self.coordinates = side, coordinates
        layers: list[nn.Module] = []
        for width, following in itertools.pairwise((4 if coordinates else 2, *_DRAW_WIDTHS)):
            layers += [nn.Conv2d(width, following, 1), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, places: Tensor) -> Tensor:
        """[N, 2] to logits [N, 1, S, S]."""
        tiled = places[:, :, None, None].expand(-1, -1, self.side, self.side)
        return cast(Tensor, self.layers(append_coordinates(tiled) if self.coordinates else tiled))


class PlainReader(nn.Sequential):
    """A picture to a place by convolutions that halve down to one pixel.

    Args:
        side: of the picture, a power of two.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        halvings = side.bit_length() - 1
        for width, following in itertools.pairwise([1] + [_READ_WIDTH] * halvings):
            self.extend([nn.Conv2d(width, following, 3, stride=2, padding=1), nn.ReLU()])
        self.extend([nn.Flatten(), nn.Linear(_READ_WIDTH, 2)])


class CoordinateReader(nn.Module):
    """A picture to a place by a 1 x 1 convolution, with coordinates, and each channel's maximum.

    Args:
        coordinates: whether they are there; without them a maximum tells nothing of the place.
    """

    def __init__(self, *, coordinates: bool = True) -> None:
        super().__init__()
        self.coordinates = coordinates
        self.layer = nn.Conv2d(3 if coordinates else 1, _READ_WIDTH, 1)
        self.place = nn.Linear(_READ_WIDTH, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        """[N, 1, S, S] to [N, 2]."""
        seen = append_coordinates(pictures) if self.coordinates else pictures
        return cast(Tensor, self.place(self.layer(seen).amax((2, 3))))


def plain_network(side: int, *, from_picture: bool) -> nn.Module:
    """Of convolutions alone."""
    return PlainReader(side) if from_picture else PlainDrawer(side)


def coordinate_network(side: int, *, from_picture: bool) -> nn.Module:
    """With coordinate channels."""
    return CoordinateReader() if from_picture else CoordinateDrawer(side)
