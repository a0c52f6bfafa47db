"""A small client: sends a film to the service, lists what it found and saves the picture of it.

python examples/client.py examples/chest.dcm --out overlay.png

It needs the standard library only: the service reads the film and draws the picture.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

Json = dict[str, Any]

RESEARCH_USE = "Research use only: not for diagnosis or treatment."


def segment(film: bytes, url: str, key: str | None = None, **query: object) -> bytes:
    """Posts a file to `/segment`.

    Args:
        film: a DICOM, PNG, JPEG or TIFF file; the service looks at the bytes.
        url: of the service.
        key: sent as a bearer token.
        query: such as `frame=2` or `format="overlay"`.

    Returns:
        The body of the answer.

    Raises:
        SystemExit: with the service's own sentence if it refuses, or that it cannot be reached.
    """
    if not url.startswith(("http://", "https://")):
        raise SystemExit(f"{url} is not the http or https address of a service")
    headers = {"Content-Type": "application/octet-stream"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    address = f"{url.rstrip('/')}/segment?{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(address, film, headers)  # noqa: S310 (checked above)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
            body: bytes = response.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(problem_sentence(error.code, error.read())) from error
    except OSError as error:
        raise SystemExit(f"no answer from {url}: {error}") from error
    return body


def problem_sentence(status: int, body: bytes) -> str:
    """What an `application/problem+json` body says (RFC 9457), or the bare status."""
    try:
        problem = json.loads(body)
        return f"{status}: {problem.get('detail') or problem['title']}"
    except (ValueError, KeyError, AttributeError):
        return f"{status}: the service gave no reason"


def summary(image: Json) -> list[str]:
    """A line for each instance: label, score, and area in pixels and, where known, in cm2.

    One before them where the model does not know such films.
    """
    spacing, distance = image["pixel_spacing"], image["out_of_distribution"]
    lines = []
    if distance and distance["flagged"]:
        lines.append(f"out of distribution ({distance['score']:.1f}): do not rely on what follows")
    for instance in image["instances"]:
        line = f"{instance['label']:<16} {instance['score']:.2f} {instance['area']:>12,} pixels"
        if spacing:
            cm2 = instance["area"] * spacing["row_mm"] * spacing["column_mm"] / 100
            line += f" {cm2:>8.1f} cm2 (spacing: {spacing['source']})"
        lines.append(line)
    return lines if image["instances"] else [*lines, "nothing found"]


def main() -> None:
    """Asks the service about one film and shows its answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("film", type=Path, help="a DICOM, PNG, JPEG or TIFF file")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", help="sent as a bearer token, where the service asks for one")
    parser.add_argument("--frame", type=int, default=0, help="of a multi-frame file, from 0")
    parser.add_argument("--out", type=Path, help="where to write the film with the answer drawn")
    arguments = parser.parse_args()
    if not arguments.film.is_file():
        raise SystemExit(f"there is no file {arguments.film}")

    film, where = arguments.film.read_bytes(), (arguments.url, arguments.key)
    answer = json.loads(segment(film, *where, frame=arguments.frame))
    model, image = answer["model"], answer["images"][0]
    print(f"{model['name']} {model['version']}", *summary(image), sep="\n")
    if arguments.out:
        picture = segment(film, *where, frame=arguments.frame, format="overlay")
        try:
            arguments.out.write_bytes(picture)
        except OSError as error:
            raise SystemExit(f"{arguments.out} cannot be written: {error.strerror}") from error
    print(RESEARCH_USE, file=sys.stderr)


if __name__ == "__main__":
    main()
