"""Derived UIDs: the same film, model and kind of object have the same UID, whoever makes it.

What is sent twice is then one object to an archive, after a crash too. A UUID as a decimal number
under 2.25 is a UID that nobody has to register (PS3.5 B.2).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

_NAMESPACE: Final = UUID("5f2d8f0e-7f0a-4c39-9f53-0d1a6b1f6a52")


def derived_uid(*parts: str) -> str:
    """A UID that is a function of texts; at most 44 characters.

    Args:
        parts: such as the film's SOP Instance UID, the model's SHA-256 and the kind of object.
    """
    return f"2.25.{uuid5(_NAMESPACE, '|'.join(parts)).int}"


IMPLEMENTATION_CLASS_UID: Final = derived_uid("implementation")
"""Of this writer, in the file meta information (PS3.7 D.3.3.2)."""
