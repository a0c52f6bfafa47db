"""Answers with cells, read by two parsers that know nothing of ours, and shown as a page would."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesFeedParser
from email.policy import HTTP
from typing import Any

import httpx
import multipart
import numpy as np
import numpy.typing as npt

NAMES = ["answer", "display", "table", "values", "cells"]


@dataclass(frozen=True)
class FilmAnswer:
    answer: dict[str, Any]
    display: dict[str, Any]
    table: npt.NDArray[np.uint8]
    values: npt.NDArray[np.float32]
    cells: npt.NDArray[np.generic]


def read_cells(response: httpx.Response) -> FilmAnswer:
    """The parts of an answer, whose parsers have to agree."""
    media_type = response.headers["content-type"]
    kind, _, boundary = media_type.partition("; boundary=")
    assert kind == "multipart/form-data"
    body = response.content
    assert len(body) == int(response.headers["content-length"])
    limits: dict[str, Any] = dict.fromkeys(("memfile_limit", "disk_limit", "mem_limit"), 2**31)
    parts = list(multipart.MultipartParser(io.BytesIO(body), boundary, **limits))
    parser = BytesFeedParser(policy=HTTP)  # which leaves ends of lines as they are
    parser.feed(f"Content-Type: {media_type}\r\n\r\n".encode() + body)
    message = parser.close()
    assert isinstance(message, EmailMessage)
    others = list(message.iter_parts())
    assert [part.name for part in parts] == NAMES
    assert [part.get_param("name", header="content-disposition") for part in others] == NAMES
    assert [part.content_type for part in parts] == [part.get_content_type() for part in others]
    contents = [part.raw for part in parts]
    assert [part.get_payload(decode=True) for part in others] == contents
    answer, display = map(json.loads, contents[:2])
    image = answer["images"][0]
    dtype = "u1" if display["bits"] == 8 else "<u2"
    cells = np.frombuffer(contents[4], dtype).reshape(image["height"], image["width"])
    table, values = np.frombuffer(contents[2], "u1"), np.frombuffer(contents[3], "<f4")
    assert len(table) == len(values) == 1 << display["bits"]
    return FilmAnswer(answer, display, table, values, cells)


def shown(
    values: npt.NDArray[np.floating[Any]], display: dict[str, Any]
) -> npt.NDArray[np.float64]:
    """Grey in 0 to 255 by the formulas of PS3.3 C.11.2.1.2 and C.11.2.1.3; padding is black."""
    x = values.astype(np.float64)
    c, w = display["window"]["center"], display["window"]["width"]
    match display["window"]["function"]:
        case "SIGMOID":
            grey = 1 / (1 + np.exp(np.minimum(-4 * (x - c) / w, 700)))
        case "LINEAR_EXACT":
            grey = np.where(x <= c - w / 2, 0, np.where(x > c + w / 2, 1, (x - c) / w + 0.5))
        case _:
            slope = (x - (c - 0.5)) / (w - 1 or 1) + 0.5
            low, high = x <= c - 0.5 - (w - 1) / 2, x > c - 0.5 + (w - 1) / 2
            grey = np.where(low, 0, np.where(high, 1, slope))
    grey = 255 * (1 - grey if display["inverted"] else grey)
    return np.where(np.isnan(x), 0, grey)
