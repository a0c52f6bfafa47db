"""X-ray image formation: Beer-Lambert law, scatter, blur, noise and tone curve."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from datasets.phantom.radiograph import Image, Mask, Stored

WHITE = 4095  # 12 bits in cells of 16
_SCATTER_SPREAD_MM = 30.0
_COLLIMATOR_LEAK = 0.002  # of the open beam
_DIRECT = 0.5  # of the open beam; a stronger signal passed next to nothing


@dataclass(frozen=True)
class Exposure:
    """Parameters of exposure and development.

    Attributes:
        photons: that reach a detector pixel in the open beam.
        scatter: how much passes the grid, as a part of the mean primary signal.
        blur_pixels: standard deviation of focal spot and detector together.
        detail: gain of structures of 5 mm and less, and of 1 mm and less again, 0 for none.
        equalise: part of the large-scale density that is evened out, 0 to 1.
        steepness: of the S-shaped tone curve, per density range of the film.
        midtone: place in that range which is shown as middle grey.
    """

    photons: float = 20_000.0
    scatter: float = 0.15
    blur_pixels: float = 0.6
    detail: float = 0.5
    equalise: float = 0.3
    steepness: float = 5.0
    midtone: float = 0.5

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Exposure:
        """A random exposure, from pale and grainy to hard and clean."""
        return cls(
            photons=float(np.exp(rng.uniform(np.log(3e3), np.log(1e5)))),
            scatter=float(rng.uniform(0.03, 0.35)),
            blur_pixels=float(rng.uniform(0.3, 1.0)),
            detail=float(rng.uniform(0.2, 1.0)),
            equalise=float(rng.uniform(0.1, 0.6)),
            steepness=float(rng.uniform(3.0, 7.0)),
            midtone=float(rng.uniform(0.45, 0.7)),
        )


def expose(
    absorption: Image, field: Mask, pixel_mm: float, exposure: Exposure, rng: np.random.Generator
) -> Image:
    """Simulates the detector's signal, as a part of the open beam.

    Args:
        absorption: float32 [height, width], the exponent of Beer and Lambert, 0 or more.
        field: bool [height, width], where the collimator lets the beam through.
        pixel_mm: between pixel centres.
        exposure: strength, scatter and blur.
        rng: of the photons.

    Returns:
        float32 [height, width], above 0.
    """
    # The electronic shutter lies within the collimator's blurred edge, which would show as bone.
    opened = cv2.dilate(field.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    primary = np.where(opened, np.exp(-absorption), np.float32(0))
    level = float(primary[field].mean()) if field.any() else 0.0
    # Scatter comes from where much passes, and knows no edges.
    spread = blur(primary, _SCATTER_SPREAD_MM / pixel_mm)
    scattered = exposure.scatter * (0.5 * level + 0.5 * spread)
    signal = blur(primary + scattered + np.float32(_COLLIMATOR_LEAK), exposure.blur_pixels)
    counts = rng.poisson(np.maximum(signal, 0) * exposure.photons).astype(np.float32)
    return np.asarray((counts + 1) / np.float32(exposure.photons), np.float32)


def develop(signal: Image, field: Mask, pixel_mm: float, exposure: Exposure) -> Stored:
    """Develops a signal as a digital system does: logarithm, equalisation, detail, tone curve.

    The range of the subject's densities is spread over the tone curve, as automatic exposure
    does, so that the film does not depend on how thick its subject is.

    Args:
        signal: float32 [height, width], above 0.
        field: bool [height, width], where the collimator let the beam through.
        pixel_mm: between pixel centres.
        exposure: the development.

    Returns:
        uint16 [height, width] up to 4095; what absorbs is bright.
    """
    density = -np.log(signal)
    subject = field & (signal < _DIRECT)
    if not subject.any():
        subject = np.ones_like(field)
    # Beside the subject there is no density to speak of, beyond the collimator next to no signal:
    # neither may bleed into the averages.
    calm = np.where(subject, density, np.float32(np.median(density[subject])))
    mean = np.float32(calm.mean())
    film = density - exposure.equalise * (blur(calm, 25 / pixel_mm) - mean)
    for structure_mm in (5, 1):
        film += exposure.detail * (density - blur(calm, structure_mm / pixel_mm))
    low, high = np.percentile(film[subject], (0.5, 99.5))
    place = (film - low) / max(float(high - low), 1e-3)
    shown = 1 / (1 + np.exp(exposure.steepness * (exposure.midtone - place)))
    ends = 1 / (1 + np.exp(exposure.steepness * (exposure.midtone - np.array([0.0, 1.0]))))
    grey = (shown - ends[0]) / (ends[1] - ends[0])
    grey[~field] = 0  # blackened as most systems do: no measurement
    stored: Stored = np.clip(grey * WHITE, 0, WHITE).round().astype(np.uint16)
    return stored


def blur(image: Image, sigma: float) -> Image:
    """Gaussian blur; a wide one runs at a fraction of the size: the same look, far faster."""
    shrink = max(1, int(sigma / 8))
    if shrink == 1:
        return np.asarray(
            cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32
        )
    size = (max(1, image.shape[1] // shrink), max(1, image.shape[0] // shrink))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(
        cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32
    )
