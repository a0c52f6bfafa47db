"""Photometric augmentation: exposure, processing, noise, things in the beam.

Every function takes and returns uint8 [H, W] and draws its strength from the generator.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

GreyImage = npt.NDArray[np.uint8]
Change = Callable[[GreyImage, np.random.Generator], GreyImage]


def gamma(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Gamma curve: another exposure or display."""
    exponent = np.exp(rng.uniform(-0.6, 0.6))
    table = 255 * (np.arange(256) / 255) ** exponent
    return _look_up(film, table)


def contrast(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Contrast: grey values stretched or squeezed about a random centre, and clipped."""
    low, high = rng.uniform(-30, 50), rng.uniform(190, 290)
    stretched = (np.arange(256) - low) * 255 / (high - low)
    if rng.random() < 0.5:
        stretched = low + np.arange(256) * (high - low) / 255
    return _look_up(film, stretched)


def equalise(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Local or global histogram equalisation, as many archives apply it."""
    if rng.random() < 0.3:
        return _film(cv2.equalizeHist(film))
    tiles = int(rng.integers(2, 9))
    return _film(cv2.createCLAHE(float(rng.uniform(1, 4)), (tiles, tiles)).apply(film))


def invert(film: GreyImage, _: np.random.Generator) -> GreyImage:
    """Inverts a film: air is shown white."""
    return 255 - film


def shade(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Shading: a slow change of brightness, as of heel effect, scatter, a lamp behind the film."""
    coarse = rng.uniform(-40, 40, (3, 3)).astype(np.float32)
    slow = cv2.resize(coarse, film.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return _film(np.clip(film + slow, 0, 255))


def blur_or_sharpen(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Blurs or sharpens: motion, focus, or edge enhancement."""
    smooth = cv2.GaussianBlur(film, (0, 0), float(rng.uniform(0.5, 1.5)))
    if rng.random() < 0.5:
        return _film(smooth)
    amount = rng.uniform(0.3, 1.5)
    return _film(np.clip(film + amount * (film.astype(np.float32) - smooth), 0, 255))


def noise(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Adds Gaussian noise, as quantum and electronic noise look."""
    sigma = rng.uniform(2, 14)
    return _film(np.clip(film + rng.normal(0, sigma, film.shape), 0, 255))


def coarsen(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Downsampling or JPEG artefacts: a film that was stored small, or compressed hard."""
    factor = rng.uniform(0.35, 0.8)
    small = _film(cv2.resize(film, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 70))]
        stored = cv2.imencode(".jpg", small, quality)[1]
        small = _film(cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE))
    return _film(cv2.resize(small, film.shape[::-1], interpolation=cv2.INTER_LINEAR))


def opacity(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Adds an opacity: a cloudy white region such as consolidation, effusion, a breast shadow."""
    height, width = film.shape
    mask = np.zeros(film.shape, np.uint8)
    centre = (int(rng.uniform(0.1, 0.9) * width), int(rng.uniform(0.2, 0.95) * height))
    axes = tuple(int(v) for v in rng.uniform(0.05, 0.25, 2) * min(height, width))
    cv2.ellipse(mask, centre, (axes[0] + 1, axes[1] + 1), rng.uniform(0, 180), 0, 360, 255, -1)
    cloud = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.02, 0.08) * min(height, width)))
    weight = cloud.astype(np.float32) / 255 * rng.uniform(0.2, 0.9)
    return _film(film + weight * np.maximum(rng.uniform(150, 230) - film.astype(np.float32), 0))


def tube_or_wire(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Adds a tube or wire: lines, electrodes and their cables."""
    height, width = film.shape
    points = rng.uniform(-0.1, 1.1, (4, 2)) * (width, height)
    t = np.linspace(0, 1, 40)[:, None]
    curve = (
        (1 - t) ** 3 * points[0]
        + 3 * t * (1 - t) ** 2 * points[1]
        + 3 * t**2 * (1 - t) * points[2]
        + t**3 * points[3]
    )
    layer = film.copy()
    line = [np.round(curve).astype(np.int32)]
    grey = int(rng.integers(150, 256))
    cv2.polylines(layer, line, False, grey, int(rng.integers(1, 4)), cv2.LINE_AA)
    if rng.random() < 0.5:
        tip = tuple(int(v) for v in curve[-1])
        cv2.circle(layer, tip, int(rng.integers(3, 9)), grey, -1, cv2.LINE_AA)
    weight = rng.uniform(0.3, 1)
    return _film(cv2.addWeighted(layer, weight, film, 1 - weight, 0))


def marker(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Adds a marker: a lead letter or printed text."""
    height, width = film.shape
    text = "".join(rng.choice(list("LRAPESITDX0123456789"), int(rng.integers(1, 7))))
    place = (int(rng.uniform(0, 0.9) * width), int(rng.uniform(0.05, 1) * height))
    size, grey = rng.uniform(0.4, 1.2), int(rng.integers(170, 256))
    out = film.copy()
    cv2.putText(out, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, grey, 1, cv2.LINE_AA)
    return out


def cut_out(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Cutout: a rectangle that shows nothing, such as a label, a shield, a blacked-out name."""
    height, width = film.shape
    h, w = (int(v) for v in rng.uniform(0.03, 0.2, 2) * (height, width))
    y, x = int(rng.integers(0, height - h)), int(rng.integers(0, width - w))
    out = film.copy()
    out[y : y + h, x : x + w] = rng.integers(0, 256)
    return out


# How often each is applied, in this order: things in the beam come before the film is processed.
CHANGES: tuple[tuple[Change, float], ...] = (
    (opacity, 0.25),
    (tube_or_wire, 0.2),
    (shade, 0.25),
    (equalise, 0.2),
    (gamma, 0.5),
    (contrast, 0.4),
    (blur_or_sharpen, 0.25),
    (coarsen, 0.15),
    (noise, 0.25),
    (marker, 0.15),
    (cut_out, 0.1),
    (invert, 0.05),
)


def change_grey_values(film: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Applies a random selection of the changes."""
    for change, probability in CHANGES:
        if rng.random() < probability:
            film = change(film, rng)
    return film


def _look_up(film: GreyImage, table: npt.NDArray[np.floating]) -> GreyImage:
    return _film(cv2.LUT(film, np.clip(table, 0, 255).astype(np.uint8)))


def _film(values: npt.NDArray[np.generic] | cv2.typing.MatLike | None) -> GreyImage:
    return np.asarray(values).astype(np.uint8)
