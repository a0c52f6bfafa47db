"""Which form of the answer a client asks for."""

from __future__ import annotations

from typing import Final, Literal

from solo.errors import InvalidParameterError

Form = Literal["rle", "uncompressed-rle", "polygons", "overlay", "label-map"]

PICTURES: Final[frozenset[Form]] = frozenset({"overlay", "label-map"})
PNG: Final = "image/png"
_JSON: Final = ("application/json", "application/*", "*/*")


def chosen_form(wanted: Form | None, accept: str) -> Form:
    """The form to answer in.

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


def check_one_picture(form: Form, files: int, *, one_frame: bool) -> None:
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
