"""Query parameters and headers of `POST /segment`.

FastAPI could read them, but makes some 450 function calls more for each request with a query model
and a header model, a third of all. The models are the same, and so is what the description of the
interface says of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from app.schemas import SegmentHeaders, SegmentQuery
from solo.errors import InvalidParameterError

_TIMEOUT_HEADER: Final = "x-request-timeout-seconds"


def read_query(request: Request) -> SegmentQuery:
    """Reads the query parameters.

    Raises:
        InvalidParameterError: for a value out of bounds, or a parameter that does not exist or
            comes twice.
    """
    given = dict(request.query_params)
    if len(given) != len(request.query_params.multi_items()):
        raise InvalidParameterError("a parameter is given more than once")
    try:
        return SegmentQuery.model_validate(given)
    except ValidationError as error:
        raise InvalidParameterError(describe_faults(error.errors())) from None


def read_headers(request: Request) -> dict[str, str]:
    """Reads the headers by their names in lower case; of one that is repeated, the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.raw}


def read_deadline_seconds(headers: Mapping[str, str], longest: float) -> float:
    """Reads the deadline: the service's limit, or less if the client asks for it.

    Raises:
        InvalidParameterError: for a header that is no number above 0.
    """
    asked = headers.get(_TIMEOUT_HEADER)
    if asked is None:
        return longest
    try:
        seconds = SegmentHeaders.model_validate({_TIMEOUT_HEADER: asked}).timeout_seconds
    except ValidationError as error:
        raise InvalidParameterError(describe_faults(error.errors())) from None
    return min(longest, seconds or longest)


def describe_faults(faults: Sequence[Mapping[str, Any]]) -> str:
    """Names the parameters and their bounds; a value is repeated only if it is a number."""
    sentences = []
    for fault in faults:
        name = str(fault["loc"][-1])
        if name not in (*SegmentQuery.model_fields, _TIMEOUT_HEADER):
            return f"there is no such parameter; there are {', '.join(SegmentQuery.model_fields)}"
        said = "" if fault["type"] == "literal_error" else _number(fault.get("input"))
        sentences.append(f"{name}{said}: {fault['msg']}")
    return "; ".join(sentences)


def _number(value: object) -> str:
    try:
        return f" is {float(str(value)):g}"
    except ValueError:
        return ""


def _documented(model: type[BaseModel], where: str) -> list[dict[str, Any]]:
    """A model's fields as parameters of an OpenAPI operation, which may be absent but not null."""
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


PARAMETERS: Final = _documented(SegmentQuery, "query") + _documented(SegmentHeaders, "header")
