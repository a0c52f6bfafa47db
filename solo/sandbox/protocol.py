"""Wire protocol of the sandbox: one datagram of JSON for each message.

Never pickles: a process that a file has taken over must not be able to run code in its parent.
Bytes of films go through shared memory instead.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from solo.decoding.radiograph import RadiographInfo
from solo.decoding.stored_pixels import Display, PixelsWanted
from solo.sandbox.header_transfer import PackedHeader

MAX_MESSAGE_BYTES = 2**16
TABLES_BYTES = (1 + 4 + 2 * 2) * 65536  # of stored pixels, and a header's two LUTs
KEPT_BYTES = 32 * 2**20
"""Memory that the upload always has: a smaller file is put where others were, since new pages
cost three times what used ones do, and a mapping that stays costs nothing."""


@dataclass(frozen=True)
class WorkerConfig:
    """A worker's settings, told once on its command line.

    Attributes:
        parent: PID of who started it; the process ends with it.
        control: descriptor of the socket for messages.
        upload: descriptor of the memory that a file comes in.
        output: descriptor of the memory that the canvas, and after it the pixels, go out in.
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
        """Bytes of a canvas, tables and the largest image, uint16; untouched ones cost none."""
        return self.canvas_bytes + TABLES_BYTES + 2 * self.max_pixels


@dataclass(frozen=True)
class Job:
    """One file to decode.

    Attributes:
        length: its bytes, from the start of the upload's memory.
        frame: which frame, from 0.
        pixels: what is wanted beside the canvas, and follows it in the output's memory.
        header: whether the source header is wanted; its tables come before the pixels.
    """

    length: int
    frame: int
    pixels: PixelsWanted
    header: bool


@dataclass(frozen=True)
class Report:
    """A worker's reply: one of the three on each file.

    Attributes:
        info: of the frame that was decoded.
        refusal: kind and sentence of the error that the file deserves.
        fault: an exception that no file should cause: its name and where it was raised.
        display: of the stored pixels, where they were asked for.
        header: where it was asked for and the file is DICOM.
    """

    info: RadiographInfo | None = None
    refusal: tuple[str, str] | None = None
    fault: tuple[str, str] | None = None
    display: Display | None = None
    header: PackedHeader | None = None


SIGN_OF_LIFE = Report()
"""Says nothing of a file: the process has started, or has taken a file and not touched it yet."""


def pack(message: WorkerConfig | Job | Report) -> bytes:
    """A message as bytes."""
    return json.dumps(asdict(message)).encode()


def unpack_config(text: str) -> WorkerConfig:
    """Reads what the parent, which is trusted, has written."""
    fields: dict[str, Any] = json.loads(text)
    height, width = fields.pop("canvas_size")
    return WorkerConfig(canvas_size=(height, width), **fields)
