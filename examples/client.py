"""A small client: sends a film to the service, lists what it found and draws it.

python examples/client.py examples/chest.dcm --out overlay.png
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask
from pydicom import dcmread
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array

Picture = npt.NDArray[np.uint8]
Json = dict[str, Any]

MEDIA_TYPES = {
    ".dcm": "application/dicom",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
COLOURS = ((255, 176, 64), (96, 208, 80), (64, 160, 255), (224, 96, 224), (64, 224, 240))  # BGR
RESEARCH_USE = "Research use only: not for diagnosis or treatment."


def segment(film: Path, url: str, key: str | None) -> Json:
    """Posts a file to `/segment`.

    Raises:
        SystemExit: with the service's own sentence if it refuses, or that it cannot be reached.
    """
    headers = {"Content-Type": MEDIA_TYPES.get(film.suffix.lower(), "application/octet-stream")}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if not url.startswith(("http://", "https://")):
        raise SystemExit(f"{url} is not the http or https address of a service")
    request = urllib.request.Request(f"{url.rstrip('/')}/segment", film.read_bytes(), headers)  # noqa: S310 (checked above)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
            answer: Json = json.load(response)
    except urllib.error.HTTPError as error:
        raise SystemExit(problem_sentence(error.code, error.read())) from error
    except OSError as error:
        raise SystemExit(f"no answer from {url}: {error}") from error
    return answer


def problem_sentence(status: int, body: bytes) -> str:
    """What an `application/problem+json` body says (RFC 9457), or the bare status."""
    try:
        problem = json.loads(body)
        return f"{status}: {problem.get('detail') or problem['title']}"
    except (ValueError, KeyError, AttributeError):
        return f"{status}: the service gave no reason"


def summary(image: Json) -> list[str]:
    """A line for each instance: label, score, and area in pixels and, where known, in cm2."""
    spacing = image["pixel_spacing"]
    lines = []
    for instance in image["instances"]:
        line = f"{instance['label']:<16} {instance['score']:.2f} {instance['area']:>12,} pixels"
        if spacing:
            cm2 = instance["area"] * spacing["row_mm"] * spacing["column_mm"] / 100
            line += f" {cm2:>8.1f} cm2 (spacing: {spacing['source']})"
        lines.append(line)
    return lines or ["nothing found"]


def read_film(film: Path, frame: int) -> Picture:
    """The film as it is meant to be seen, and as the service saw it: uint8 [height, width]."""
    if MEDIA_TYPES.get(film.suffix.lower(), "application/dicom") == "application/dicom":
        return _read_dicom(film, frame)
    decoded = cv2.imread(str(film), cv2.IMREAD_UNCHANGED)  # orientation tags do not count
    if decoded is None:
        raise SystemExit(f"{film} cannot be drawn on: OpenCV cannot read it")
    if decoded.ndim == 3:
        decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2GRAY)
    if decoded.dtype == np.uint8:
        return np.asarray(decoded, np.uint8)
    return _stretch(decoded, *np.percentile(decoded, (0.5, 99.5)))


def _read_dicom(film: Path, frame: int) -> Picture:
    dataset = dcmread(film)
    stored = pixel_array(dataset, index=frame)
    grey = apply_voi_lut(apply_modality_lut(stored, dataset), dataset)
    if "WindowCenter" in dataset or "VOILUTSequence" in dataset:
        shown = _stretch(grey, grey.min(), grey.max())
    else:
        shown = _stretch(grey, *np.percentile(grey, (0.5, 99.5)))
    return 255 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


def _stretch(grey: npt.NDArray[Any], low: float, high: float) -> Picture:
    shown = (grey.astype(np.float64) - low) / max(high - low, 1)
    return (np.clip(shown, 0, 1) * 255).round().astype(np.uint8)


def draw(film: Picture, image: Json) -> Picture:
    """Outlines, a translucent fill, label and score over the film.

    Args:
        film: uint8 [height, width].
        image: one of the answer's `images`.

    Returns:
        uint8 [height, width, 3], BGR.

    Raises:
        ValueError: if the answer is for an image of another size.
    """
    if film.shape != (image["height"], image["width"]):
        raise ValueError(
            f"the answer is for {image['height']} x {image['width']} pixels, "
            f"the film has {film.shape[0]} x {film.shape[1]}"
        )
    picture = cv2.cvtColor(film, cv2.COLOR_GRAY2BGR)
    thickness = max(1, round(min(film.shape) / 500))
    for index, instance in enumerate(image["instances"]):
        colour = COLOURS[index % len(COLOURS)]
        mask = coco_mask.decode(instance["segmentation"]).astype(np.bool_)
        picture[mask] = (0.75 * picture[mask] + 0.25 * np.array(colour)).astype(np.uint8)
        outlines, _ = cv2.findContours(
            mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(picture, outlines, -1, colour, thickness, cv2.LINE_AA)
        x, y, width, height = instance["bbox"]
        cv2.putText(
            picture,
            f"{instance['label']} {instance['score']:.2f}",
            (round(x + width / 4), round(y + height / 2)),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.5 * thickness,
            (255, 255, 255),
            thickness,
            cv2.LINE_AA,
        )
    return picture.astype(np.uint8)


def main() -> None:
    """Asks the service about one film and shows its answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("film", type=Path, help="a DICOM, PNG, JPEG or TIFF file")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", help="sent as a bearer token, where the service asks for one")
    parser.add_argument("--out", type=Path, help="where to write the film with the answer drawn")
    arguments = parser.parse_args()
    if not arguments.film.is_file():
        raise SystemExit(f"there is no file {arguments.film}")

    answer = segment(arguments.film, arguments.url, arguments.key)
    image = answer["images"][0]
    print(f"{answer['model']['name']} {answer['model']['version']}", *summary(image), sep="\n")
    if arguments.out:
        picture = draw(read_film(arguments.film, image["frame"]), image)
        if not cv2.imwrite(str(arguments.out), picture):
            raise SystemExit(f"{arguments.out} cannot be written")
    print(RESEARCH_USE, file=sys.stderr)


if __name__ == "__main__":
    main()
