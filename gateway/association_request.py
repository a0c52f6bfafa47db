"""Association requests (PS3.8 9.3.2), judged as bytes, before anything is made of them.

pynetdicom takes any number of presentation contexts with any IDs, and each association costs it two
threads and milliseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

_CALLED: Final = slice(10, 26)
_CALLING: Final = slice(26, 42)
_ITEMS_OFFSET: Final = 74
_PRESENTATION_CONTEXT: Final = 0x20
# A-ASSOCIATE-RJ (9.3.4), permanent, by the service user
_UNKNOWN_CALLED: Final = b"\x03\0\0\0\0\x04\0\x01\x01\x07"
_UNKNOWN_CALLING: Final = b"\x03\0\0\0\0\x04\0\x01\x01\x03"
# A-ABORT (9.3.8) by the service provider: unexpected PDU, invalid PDU parameter value
UNEXPECTED: Final = b"\x07\0\0\0\0\x04\0\0\x02\x02"
_INVALID_PARAMETER: Final = b"\x07\0\0\0\0\x04\0\0\x02\x06"


def refusal(request: bytes, called: str, callers: Collection[str]) -> tuple[str, bytes] | None:
    """Why an association is refused, and the PDU that says so; None for one that may go on.

    Args:
        request: an A-ASSOCIATE-RQ, of any length that a stranger likes.
        called: the AE title that it has to call.
        callers: AE titles that may call; empty for all.
    """
    if len(request) < _ITEMS_OFFSET or len(request) != 6 + int.from_bytes(request[2:6], "big"):
        return "request", UNEXPECTED
    if _title(request[_CALLED]) != called:
        return "refused", _UNKNOWN_CALLED
    if callers and _title(request[_CALLING]) not in callers:
        return "refused", _UNKNOWN_CALLING
    # 7.1.1.13: odd, from 1 to 255, each once; so there are 128 at most.
    contexts = [*_context_ids(request)]
    if len({*contexts}) < len(contexts) or not all(one % 2 for one in contexts):
        return "contexts", _INVALID_PARAMETER
    return None


def _title(field: bytes) -> str:
    """An AE title without the spaces around it, which are not significant."""
    return field.decode("latin-1").strip(" \0")


def _context_ids(request: bytes) -> Iterator[int]:
    offset = _ITEMS_OFFSET
    while offset + 4 < len(request):
        if request[offset] == _PRESENTATION_CONTEXT:
            yield request[offset + 4]
        offset += 4 + int.from_bytes(request[offset + 2 : offset + 4], "big")
