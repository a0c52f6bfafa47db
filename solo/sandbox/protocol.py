"""What a decoder's process and the service tell each other, as JSON in one datagram each.

Never pickles: a process that a file has taken over must not be able to run code in the service.
Bytes of films go through shared memory instead.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from solo.decoding.pixel_spacing import PixelSpacing
from solo.decoding.radiograph import FileKind, GreyRecipe, Radiograph

MAX_MESSAGE_BYTES = 2**16
KEPT_BYTES = 32 * 2**20
"""What the upload's memory always has: a smaller file is put where others were, since new pages
cost three times what used ones do, and a mapping that stays costs nothing."""


@dataclass(frozen=True)
class Orders:
    """What a process is told once, on its command line.

    Attributes:
        parent: PID of the service; the process ends with it.
        control: descriptor of the socket for messages.
        upload: descriptor of the memory that a file comes in.
        output: descriptor of the memory that the canvas, and after it the film, go out in.
        canvas_size: (height, width) of the canvas.
        max_pixels: most pixels of one image, rows x columns.
        memory_bytes: what decoding may take beside what the idle process takes.
    """

    parent: int
    control: int
    upload: int
    output: int
    canvas_size: tuple[int, int]
    max_pixels: int
    memory_bytes: int

    @property
    def canvas_bytes(self) -> int:
        """Bytes of a canvas, float32."""
        return 4 * self.canvas_size[0] * self.canvas_size[1]

    @property
    def output_bytes(self) -> int:
        """Bytes of a canvas and of the largest film, uint8."""
        return self.canvas_bytes + self.max_pixels


@dataclass(frozen=True)
class Job:
    """One file to decode.

    Attributes:
        length: its bytes, from the start of the upload's memory.
        frame: which frame, from 0.
        film: whether its pixels are wanted beside the canvas.
    """

    length: int
    frame: int
    film: bool


@dataclass(frozen=True)
class FilmFacts:
    """A `Radiograph` without its pixels; see there."""

    height: int
    width: int
    spacing: PixelSpacing | None
    grey: GreyRecipe
    frame: int
    frames: int
    kind: FileKind
    encoding: str

    @classmethod
    def of(cls, radiograph: Radiograph) -> FilmFacts:
        """What is known of a radiograph."""
        height, width = radiograph.pixels.shape
        return cls(
            height=height,
            width=width,
            spacing=radiograph.spacing,
            grey=radiograph.grey,
            frame=radiograph.frame,
            frames=radiograph.frames,
            kind=radiograph.kind,
            encoding=radiograph.encoding,
        )


@dataclass(frozen=True)
class Report:
    """What a process says: one of the three on each file.

    None of them is set when the process has started, and when it has taken a file but not touched
    it yet.

    Attributes:
        facts: of the film that was decoded.
        refusal: kind and sentence of the error that the file deserves.
        fault: an exception that no file should cause: its name and where it was raised.
    """

    facts: FilmFacts | None = None
    refusal: tuple[str, str] | None = None
    fault: tuple[str, str] | None = None

    @property
    def is_sign_of_life(self) -> bool:
        """Whether it says nothing of a file."""
        return self.facts is None and self.refusal is None and self.fault is None


def pack(message: Orders | Job | Report) -> bytes:
    """A message as bytes."""
    return json.dumps(asdict(message)).encode()


def unpack_orders(text: str) -> Orders:
    """Reads what the service, which is trusted, has written."""
    fields: dict[str, Any] = json.loads(text)
    height, width = fields.pop("canvas_size")
    return Orders(canvas_size=(height, width), **fields)


def unpack_job(message: bytes) -> Job:
    """Reads what the service, which is trusted, has written."""
    return Job(**json.loads(message))
