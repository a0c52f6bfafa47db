"""Media types: the bytes decide what a file is, its type only what is wrong where they do not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, islice
from typing import Final

from app.errors import UnsupportedMediaTypeError
from solo.decoding.decode import sniff
from solo.file import RadiographFile

SNIFFED: Final = "application/octet-stream"
FILE_TYPES: Final = ("application/dicom", "image/png", "image/jpeg", "image/tiff", SNIFFED)

_SIGNATURE_BYTES: Final = 4096
_ALIASES = re.compile(
    r"(application|image)/(x-)?(dicom|png|p?jpe?g|tiff?)|(application|binary)/octet-stream"
)
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")


class UploadedFile(RadiographFile):
    """One file of a request.

    Args:
        pieces: its bytes, as they came in.
        media_type: declared for them, in lower case and without parameters.

    Attributes:
        refusal: why it is not to be decoded, or None.
    """

    def __init__(self, pieces: Sequence[bytes], media_type: str = SNIFFED) -> None:
        super().__init__(pieces)
        self.refusal: UnsupportedMediaTypeError | None = None
        if self.length and not is_supported(media_type) and not has_signature(pieces):
            self.refusal = UnsupportedMediaTypeError(
                f"the bytes are none of DICOM, PNG, JPEG and TIFF by their signature, and media "
                f"type {repeatable(media_type)} is not supported; supported are "
                f"{', '.join(FILE_TYPES)}, and multipart/form-data of these"
            )


def is_supported(media_type: str) -> bool:
    """Whether a media type is, by one of its names, one whose files are read."""
    return _ALIASES.fullmatch(media_type) is not None


def has_signature(pieces: Sequence[bytes]) -> bool:
    """Whether bytes begin as a file that is read."""
    return sniff(bytes(islice(chain.from_iterable(pieces), _SIGNATURE_BYTES))) is not None


def repeatable(media_type: str) -> str:
    """A media type for an error: what is not of its alphabet (RFC 6838 4.2) is not repeated."""
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else "(malformed)"
