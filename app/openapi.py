"""OpenAPI description of the service.

FastAPI writes it from the routes, and neither reads nor checks a request: for a model of the query
and one of the headers it would make some 450 function calls more for each, a third of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.routing import BaseRoute

from app.errors import TITLES, KeyRateError, MisdirectedError, UnauthorizedError, status_of
from app.http.dicom_request import DICOM, RELATED
from app.http.media_types import FILE_TYPES, SNIFFED
from app.http.parameters import PNG
from app.http.problems import PROBLEM_TYPE
from app.http.upload import MULTIPART
from app.middleware.api_keys import OPEN_PATHS
from app.middleware.hosts import PROBES
from app.schemas import DicomQuery, FilmDisplay, ProblemDetails, SegmentHeaders, SegmentQuery
from solo import __version__
from solo.contract.manifest import RESEARCH_USE_ONLY

TITLE: Final = "SOLO X-ray"

_DESCRIPTION: Final = f"""Finds and outlines every object in a radiograph.

**{RESEARCH_USE_ONLY}**

[The page](./) shows films with what was found in them.
"""
_PROBLEM: Final = {PROBLEM_TYPE: {"schema": ProblemDetails.model_json_schema()}}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_FILES: Final = {"type": "array", "minItems": 1, "items": _BINARY["schema"]}
_REFERENCE: Final = "#/components/schemas/{model}"
_FILM: Final = {
    "type": "object",
    "description": "With `pixels=cells`, in this order. `table[cells]` is the film in 8 bits, as "
    "the model saw it; `values[cells]` are modality values, NaN for padding.",
    "required": ["answer", "display", "table", "values", "cells"],
    "properties": {
        "answer": {"$ref": _REFERENCE.format(model="SegmentAnswer")},
        "display": {"$ref": _REFERENCE.format(model="FilmDisplay")},
        "table": _BINARY["schema"] | {"description": "uint8 [256] or [65536]."},
        "values": _BINARY["schema"] | {"description": "float32 [256] or [65536], little-endian."},
        "cells": _BINARY["schema"]
        | {"description": "uint8 or uint16 [height, width], little-endian, row by row."},
    },
}
_OBJECTS: Final = {
    "type": "object",
    "description": "DICOM objects, a part each, in the order of `kinds`.",
}
_ANNOTATED_FILM: Final = {
    "type": "object",
    "required": ["film", "annotations"],
    "properties": {
        "film": _BINARY["schema"] | {"description": "A DICOM file."},
        "annotations": {
            "type": "object",
            "description": "A COCO document of the film alone: `categories` named as the model's "
            "classes, one of `images`, and `annotations` with masks as compressed run lengths, a "
            "`score` where the model found them, and `segment_algorithm_type` (AUTOMATIC, "
            "SEMIAUTOMATIC or MANUAL; DICOM PS3.3 C.8.20.2). `info.model` may name the model that "
            "they come from.",
            "required": ["categories", "images", "annotations"],
        },
    },
}
_ENCODING: Final = {
    **{name: {"contentType": "application/json"} for name in ("answer", "display")},
    **{name: {"contentType": SNIFFED} for name in ("table", "values", "cells")},
}
_FORM: Final = {"type": "object", "required": ["files"], "properties": {"files": _FILES}}


def _documented(model: type[BaseModel], where: str) -> list[dict[str, Any]]:
    """A model's fields as parameters of an operation, which may be absent but not null."""
    return [
        {"name": name, "in": where, "required": False, "schema": _without_null(schema)}
        for name, schema in model.model_json_schema()["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    values = [part for part in schema.get("anyOf", []) if part != {"type": "null"}]
    if len(values) != 1:
        return schema
    rest = {name: part for name, part in schema.items() if name not in ("anyOf", "default")}
    return {**values[0], **rest}


_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": title, "content": _PROBLEM} for status, title in TITLES.items()
}
DICOM_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {DICOM: _BINARY, RELATED: {"schema": _OBJECTS}}},
    **_PROBLEMS,
}
DICOM_OPERATION: Final[dict[str, Any]] = {
    "parameters": _documented(DicomQuery, "query") + _documented(SegmentHeaders, "header"),
    "requestBody": {
        "required": True,
        "content": {
            MULTIPART: {
                "schema": _ANNOTATED_FILM,
                "encoding": {
                    "film": {"contentType": DICOM},
                    "annotations": {"contentType": "application/json"},
                },
            }
        },
    },
}
SEGMENT_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            PNG: _BINARY,
            DICOM: _BINARY,
            RELATED: {"schema": _OBJECTS},
            MULTIPART: {"schema": _FILM, "encoding": _ENCODING},
        }
    },
    **_PROBLEMS,
}
SEGMENT_OPERATION: Final[dict[str, Any]] = {
    "parameters": _documented(SegmentQuery, "query") + _documented(SegmentHeaders, "header"),
    "requestBody": {
        "required": True,
        "description": "One file as it is, or one or many files as a form under any field name. "
        "Other media types are passed over where the bytes are of one of these files.",
        "content": {**dict.fromkeys(FILE_TYPES, _BINARY), MULTIPART: {"schema": _FORM}},
    },
}


def describe(routes: Sequence[BaseRoute], *, closed: bool) -> dict[str, Any]:
    """The description as an OpenAPI 3.1 document.

    Args:
        routes: FastAPI's.
        closed: whether a key is asked for.
    """
    document: dict[str, Any] = _without_tuples(
        get_openapi(
            title=TITLE,
            version=__version__,
            description=_DESCRIPTION,
            routes=routes,
            servers=[{"url": "."}],  # relative to this document, for a balancer's path before ours
        )
    )
    display = FilmDisplay.model_json_schema(ref_template=_REFERENCE)
    document["components"]["schemas"] |= {**display.pop("$defs"), "FilmDisplay": display}
    misdirected = {"description": MisdirectedError.title, "content": _PROBLEM}
    for path in document["paths"]:
        if not path.startswith(PROBES):
            for operation in document["paths"][path].values():
                answers = operation["responses"]
                answers.setdefault(str(status_of(MisdirectedError)), misdirected)
    if closed:
        scheme = {"key": {"type": "http", "scheme": "bearer"}}
        document["components"]["securitySchemes"] = scheme
        for path in document["paths"].keys() - OPEN_PATHS:
            for operation in document["paths"][path].values():
                operation["security"] = [{"key": []}]
                for error in (UnauthorizedError, KeyRateError):
                    answer = {"description": error.title, "content": _PROBLEM}
                    operation["responses"].setdefault(str(status_of(error)), answer)
    return document


def _without_tuples(schema: Any) -> Any:  # noqa: ANN401 (JSON)
    """Writes tuples of one type as arrays of a fixed length: few programs read `prefixItems`."""
    if isinstance(schema, list):
        return [_without_tuples(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: _without_tuples(part) for name, part in schema.items()}
    parts = told.get("prefixItems", [])
    if parts and all(part == parts[0] for part in parts):
        told["items"] = told.pop("prefixItems")[0]
    return told
