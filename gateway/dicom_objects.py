"""DICOM objects in memory: which object a file is, and whether it is one of our own."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Final
from zlib import MAX_WBITS, decompressobj

from pydicom import dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from gateway.outcomes import FaultyFilmError

MANUFACTURER: Final = "SOLO X-ray"
# SOP class, SOP instance, manufacturer
_HEAD_TAGS: Final = (Tag(0x0008, 0x0016), Tag(0x0008, 0x0018), Tag(0x0008, 0x0070))
_HEAD_BYTES: Final = 2**16
_PREAMBLE_BYTES: Final = 128
_META_OFFSET: Final = _PREAMBLE_BYTES + 4
_META_GROUP: Final = 0x0002


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


@dataclass(frozen=True)
class Head:
    """What the first elements of a film say, as far as they can be read; empty where they cannot.

    Attributes:
        sop_class: SOP Class UID.
        sop_instance: SOP Instance UID.
        manufacturer: of the machine, or of what made the object.
    """

    sop_class: str = ""
    sop_instance: str = ""
    manufacturer: str = ""

    @classmethod
    def read(cls, data: bytes) -> Head:
        """Reads the first elements, which are in ascending order (PS3.5 7.1).

        Args:
            data: a file (PS3.10), or what somebody sent as one.
        """
        try:
            elements = _first_elements(data[:_HEAD_BYTES])
        except Exception:  # whatever it is: the service says what is wrong with it
            return cls()
        return cls(*(_text(elements.get_item(tag)) for tag in _HEAD_TAGS))

    def is_own(self) -> bool:
        """Whether a film is a result of ours that came back, such as a secondary capture."""
        return self.manufacturer == MANUFACTURER

    def is_other_than(self, sop_class: str, sop_instance: str) -> bool:
        """Whether a film says that it is another object than these UIDs name."""
        pairs = ((self.sop_class, sop_class), (self.sop_instance, sop_instance))
        return any(said and said != named for said, named in pairs)


def _first_elements(head: bytes) -> Dataset:
    if head[_PREAMBLE_BYTES:_META_OFFSET] != b"DICM":
        raise ValueError("this is no DICOM file")
    file = BytesIO(head)
    file.seek(_META_OFFSET)
    meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag.group != _META_GROUP)
    syntax, rest = UID(meta.TransferSyntaxUID), file.read()
    if syntax == DeflatedExplicitVRLittleEndian:
        # No more than this: a few bytes may be inflated to gigabytes.
        rest = decompressobj(-MAX_WBITS).decompress(rest, _HEAD_BYTES)
    return read_dataset(
        BytesIO(rest),
        syntax.is_implicit_VR,
        syntax.is_little_endian,
        stop_when=lambda tag, *_: tag > _HEAD_TAGS[-1],
        specific_tags=[*_HEAD_TAGS],
    )


def _text(element: DataElement | RawDataElement | None) -> str:
    value = element.value if element is not None else b""
    text = value if isinstance(value, str) else bytes(value or b"").decode("latin-1")
    return text.strip(" \0")
