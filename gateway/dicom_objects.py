"""DICOM objects in memory: which object a file is, and whether it is one of our own."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pydicom.tag import Tag

from gateway.outcomes import FaultyFilmError

MANUFACTURER = "SOLO X-ray"
_MANUFACTURER_TAG = Tag(0x0008, 0x0070)


@dataclass(frozen=True)
class ResultObject:
    """A result that is to be stored.

    Attributes:
        sop_class: its SOP Class UID.
        sop_instance: its SOP Instance UID.
        syntax: its transfer syntax.
        study: its Study Instance UID.
        data: the file (PS3.10).
    """

    sop_class: str
    sop_instance: str
    syntax: str
    study: str
    data: bytes

    @classmethod
    def read(cls, data: bytes) -> ResultObject:
        """Reads what names a result.

        Raises:
            FaultyFilmError: if the bytes are no DICOM file with the UIDs that name it.
        """
        try:
            file = dcmread(BytesIO(data), stop_before_pixels=True)
            return cls(
                str(file.SOPClassUID),
                str(file.SOPInstanceUID),
                str(file.file_meta.TransferSyntaxUID),
                str(file.StudyInstanceUID),
                data,
            )
        except Exception as error:  # pydicom raises what it likes, and quotes the file
            raise FaultyFilmError("service-result") from error


def is_own(data: bytes) -> bool:
    """Whether a film is a result of ours that came back, such as a secondary capture.

    Args:
        data: a file (PS3.10), or what somebody sent as one.
    """
    try:
        # Up to the tag, and no further: elements are in ascending order (PS3.5 7.1).
        head = dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=[_MANUFACTURER_TAG])
        raw = head.get_item(_MANUFACTURER_TAG)
        value = raw.value if raw is not None else b""
    except Exception:  # whatever it is, it is none of ours: the service says what is wrong with it
        return False
    text = value if isinstance(value, str) else bytes(value or b"").decode("latin-1")
    return text.strip(" \0") == MANUFACTURER
