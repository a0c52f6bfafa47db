"""OpenAPI document of the service, and FastAPI without its telemetry."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from app.errors import KeyRateError, UnauthorizedError
from app.http.problems import PROBLEM_TYPE
from app.middleware.api_keys import OPEN_PATHS
from app.statuses import status_of

# FastAPI's own telemetry, which a variable of the environment can switch on, sends paths, queries,
# bodies' values and the texts of exceptions. Those of patients go nowhere; see `app.tracing`.
SILENT: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
_SCHEME: Final = "key"


class DescribedAPI(FastAPI):
    """An application whose description tells of keys where they are asked for.

    Attributes:
        closed: whether a key is asked for.
    """

    closed = False

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = spell_out_tuples(super().openapi())
            if self.closed:
                _tell_of_keys(self.openapi_schema)
        return self.openapi_schema


def spell_out_tuples(schema: Any) -> Any:  # noqa: ANN401 (JSON)
    """Writes tuples of one type as arrays of a fixed length: few programs read `prefixItems`."""
    if isinstance(schema, list):
        return [spell_out_tuples(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: spell_out_tuples(part) for name, part in schema.items()}
    parts = told.get("prefixItems", [])
    if parts and all(part == parts[0] for part in parts):
        told["items"] = told.pop("prefixItems")[0]
    return told


def _tell_of_keys(document: dict[str, Any]) -> None:
    schemes = document["components"].setdefault("securitySchemes", {})
    schemes[_SCHEME] = {"type": "http", "scheme": "bearer"}
    problem = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    for path, operations in document["paths"].items():
        if path in OPEN_PATHS:
            continue
        for operation in operations.values():
            operation["security"] = [{_SCHEME: []}]
            for error in (UnauthorizedError, KeyRateError):
                answer = {"description": error.title, "content": problem}
                operation["responses"].setdefault(str(status_of(error)), answer)
