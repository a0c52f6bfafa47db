"""Content negotiation: the format that a client asks for."""

from __future__ import annotations

from typing import Final

from app.schemas import ResponseFormat
from solo.errors import InvalidParameterError

PICTURES: Final[frozenset[ResponseFormat]] = frozenset({"overlay", "label-map"})
PNG: Final = "image/png"
_JSON: Final = ("application/json", "application/*", "*/*")


def negotiate_format(wanted: ResponseFormat | None, accept: str) -> ResponseFormat:
    """The format to answer in.

    Args:
        wanted: the `format` parameter, which comes first.
        accept: the Accept header. One that takes PNG and no JSON asks for the overlay; whatever
            else it says, the answer is JSON (RFC 9110, 12.5.1 leaves that to the server).
    """
    if wanted is not None:
        return wanted
    types = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    takes_picture = PNG in types or "image/*" in types
    return "overlay" if takes_picture and not types.intersection(_JSON) else "rle"


def check_one_picture(form: ResponseFormat, files: int, *, one_frame: bool) -> None:
    """Refuses a picture of several files or frames, before any is decoded.

    Raises:
        InvalidParameterError: if there are several.
    """
    if form not in PICTURES:
        return
    if files != 1:
        raise InvalidParameterError(
            f"format {form} is one picture of one file, but the request has {files} files"
        )
    if not one_frame:
        raise InvalidParameterError(
            f"format {form} is one picture, but several frames are asked for"
        )
