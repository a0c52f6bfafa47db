"""Delivery of results: an object is stored when the archive itself lists its UID, never before."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from io import BytesIO
from ssl import SSLContext
from typing import Any, Final, Protocol

from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import AE, build_context

from gateway.dicom_objects import ResultObject
from gateway.http import CONNECT_SECONDS, Peer
from gateway.multipart import related
from gateway.outcomes import FaultyFilmError, TryLaterError

_REFERENCED_SOP_SEQUENCE: Final = "00081199"
_FAILED_SOP_SEQUENCE: Final = "00081198"
_REFERENCED_SOP_INSTANCE: Final = "00081155"
# What says that this object is not wanted; 401, 403 and 404 are the operator's to mend.
_UNWANTED: Final = frozenset({400, 406, 409, 413, 415, 422})
_STATUS_LIMIT: Final = 2**20
_UNCOMPRESSED: Final = (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
# PS3.4 B.2.3: success, and the warnings with which the object is stored all the same.
_STORED: Final = frozenset({0x0000, 0xB000, 0xB006, 0xB007})


class Delivery(Protocol):
    """Stores results, or says why not."""

    def store(self, result: ResultObject, deadline: float) -> None:
        """Stores a result; one that is there already is stored as well.

        Raises:
            FaultyFilmError: if the archive does not want the object.
            TryLaterError: if it is busy or away.
        """


class StowDelivery:
    """Delivery by STOW-RS (PS3.18 10.5).

    Args:
        archive: the root of its DICOMweb services.
    """

    def __init__(self, archive: Peer) -> None:
        self._archive = archive

    def store(self, result: ResultObject, deadline: float) -> None:
        """See `Delivery`: success is the own UID in Referenced SOP Sequence (0008,1199)."""
        media_type, body = related(result.data)
        answer = self._archive.ask(
            "POST",
            "/studies",
            deadline,
            {"Content-Type": media_type, "Accept": "application/dicom+json"},
            body,
            _STATUS_LIMIT,
        )
        if result.sop_instance in _listed(answer.body):
            return
        if answer.status in _UNWANTED:
            raise FaultyFilmError("archive-refuses")
        if 200 <= answer.status < 300:
            raise FaultyFilmError("archive-unlisted")
        raise TryLaterError("archive-status", answer.retry_after_seconds)


class StoreDelivery:
    """Delivery by C-STORE (PS3.4 Annex B), an association for each object.

    Args:
        ae_title: by which the gateway calls.
        destination: AE@host:port.
        tls: how it speaks TLS; None where it does not.
    """

    def __init__(self, ae_title: str, destination: str, tls: SSLContext | None = None) -> None:
        self._ae_title, self._tls = ae_title, tls
        self._called, _, address = destination.rpartition("@")
        host, _, port = address.rpartition(":")
        self._address = host.strip("[]"), int(port)  # brackets of IPv6

    def store(self, result: ResultObject, deadline: float) -> None:
        """See `Delivery`: success is a status that says so, for the own UID."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TryLaterError("archive-time")
        entity = AE(ae_title=self._ae_title)
        entity.connection_timeout = min(CONNECT_SECONDS, left)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = left
        # One context each, so that the archive chooses, and the object is sent as it is if it can.
        syntaxes = dict.fromkeys(
            (result.syntax, *(_UNCOMPRESSED if result.syntax in _UNCOMPRESSED else ()))
        )
        contexts = [build_context(result.sop_class, syntax) for syntax in syntaxes]
        association = entity.associate(
            *self._address,
            contexts=contexts,
            ae_title=self._called,
            tls_args=(self._tls, self._address[0]) if self._tls is not None else None,
        )
        if not association.is_established:
            refused = association.is_rejected or association.acceptor.primitive is not None
            raise TryLaterError("archive-association" if refused else "archive-away")
        try:
            status = association.send_c_store(dcmread(BytesIO(result.data)))
        except ValueError as error:  # no context was accepted for the object
            raise FaultyFilmError("archive-refuses") from error
        except RuntimeError as error:  # the archive has ended the association
            raise TryLaterError("archive-away") from error
        finally:
            association.release()
        code = status.get("Status")
        if code is None:
            raise TryLaterError("archive-away")
        if code in _STORED:
            return
        if code >> 8 == 0xA7:
            raise TryLaterError("archive-busy")
        raise FaultyFilmError("archive-refuses")


def _listed(body: bytes) -> set[str]:
    """The UIDs that a Store Instances Response says are stored (PS3.18 10.5.3, Annex F.2).

    One that it says has failed as well is not believed.
    """
    try:
        document = json.loads(body)
        stored = {*_uids(document, _REFERENCED_SOP_SEQUENCE)}
        return stored - {*_uids(document, _FAILED_SOP_SEQUENCE)}
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return set()


def _uids(document: Any, sequence: str) -> Iterator[str]:  # noqa: ANN401 - JSON of a peer
    for data_set in document if isinstance(document, list) else [document]:
        for item in data_set.get(sequence, {}).get("Value", []):
            for uid in item.get(_REFERENCED_SOP_INSTANCE, {}).get("Value", []):
                if isinstance(uid, str) and re.fullmatch(r"[0-9.]{1,64}", uid):
                    yield uid
