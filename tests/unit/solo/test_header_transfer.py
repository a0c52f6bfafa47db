"""What a sandboxed decoder says of a film's header is believed only where it can be true."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from solo.sandbox.validation import read_report

TABLE = {"first": 0, "entries": 4, "full_scale": 255}
DISPLAY = {
    **{"slope": 1, "intercept": 0, "inverted": False, "modality_lut": None, "voi_lut": None},
    "window": {"center": 1, "width": 2, "function": "LINEAR"},
}
PATIENT_ID = str(0x00100020)


def report(change: Callable[[dict[str, Any]], object]) -> bytes:
    presentation = dict(DISPLAY)
    header: dict[str, Any] = {"elements": {PATIENT_ID: b"P-1".hex()}, "presentation": presentation}
    change(header)
    return json.dumps({"header": header}).encode()


def test_a_header_is_read_as_it_was_sent() -> None:
    found = read_report(report(lambda _: None), 100).header
    assert found is not None
    assert found.elements == {0x00100020: b"P-1".hex()}


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["elements"].update({str(0x00100040 + 1): ""}),
        lambda header: header["elements"].update({PATIENT_ID: "zz"}),
        lambda header: header["elements"].update({PATIENT_ID: "00" * 1025}),
        lambda header: header["presentation"].update(window=None),
        lambda header: header["presentation"].update(voi_lut=TABLE),
        lambda header: header["presentation"].update(slope=float("inf")),
        lambda header: header["presentation"].update(intercept=float("nan")),
        lambda header: header["presentation"]["window"].update(width=0),
        lambda header: header["presentation"].update(modality_lut={**TABLE, "entries": 10**9}),
        lambda header: header["presentation"].update(modality_lut={**TABLE, "entries": 0}),
        lambda header: header["presentation"].update(modality_lut={**TABLE, "full_scale": 0}),
        lambda header: header["presentation"].update(modality_lut={**TABLE, "first": 10**6}),
    ],
)
def test_a_header_that_none_of_ours_sends_is_not_believed(change: Callable[..., object]) -> None:
    display = json.loads(json.dumps(DISPLAY))

    def apply(header: dict[str, Any]) -> None:
        header["presentation"] = display
        change(header)

    with pytest.raises(ValueError):  # noqa: PT011 (pydantic's is one, too)
        read_report(report(apply), 100)
