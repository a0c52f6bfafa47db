"""Query, headers and content negotiation of what takes films; frame ranges (`2`, `0-4`, `all`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request

from app.http.dicom_request import is_dicom, weight
from app.schemas import AnswerFormat, ResponseFormat, SegmentHeaders, SegmentQuery
from solo.errors import InvalidParameterError

Query = TypeVar("Query", bound=BaseModel)

PICTURES: Final[frozenset[AnswerFormat]] = frozenset({"overlay", "label-map"})
PNG: Final = "image/png"
MAX_FRAMES: Final = 128

_JSON: Final = ("application/json", "application/*", "*/*")
_TIMEOUT_HEADER: Final = "x-request-timeout-seconds"


@dataclass(frozen=True)
class FrameRange:
    """Frames from the first to the last, both included; `last` is None for the file's last."""

    first: int
    last: int | None

    @classmethod
    def parse(cls, text: str) -> FrameRange:
        """Reads the parameter, whose form the query has checked."""
        if text == "all":
            return cls(0, None)
        first, _, last = text.partition("-")
        return cls(int(first), int(last or first))

    @property
    def is_one(self) -> bool:
        """Whether it is a single frame."""
        return self.first == self.last

    def within(self, frames: int) -> range:
        """The frames of a file that has so many.

        Raises:
            InvalidParameterError: for frames that are not there, none, or too many at once.
        """
        last = frames - 1 if self.last is None else self.last
        if not self.first <= last < frames:
            raise InvalidParameterError(
                f"the frames {self.first} to {last} are asked for, but the file has {frames}, from "
                "number 0"
            )
        chosen = range(self.first, last + 1)
        if len(chosen) > MAX_FRAMES:
            raise InvalidParameterError(
                f"{len(chosen)} frames are asked for; at most {MAX_FRAMES} are answered at once"
            )
        return chosen


def read_query(request: Request) -> SegmentQuery:
    """Reads the query parameters of `POST /segment`; see `read_query_as`."""
    return read_query_as(SegmentQuery, request)


def read_query_as(schema: type[Query], request: Request) -> Query:
    """Reads the query parameters.

    Args:
        schema: of the route.
        request: with the query.

    Raises:
        InvalidParameterError: for a value out of bounds, or a parameter that does not exist or
            comes twice.
    """
    query: Query = _parse_query(schema, request.scope["query_string"])
    return query


@lru_cache(64)  # a client asks for the same again and again
def _parse_query(schema: type[Query], query_string: bytes) -> Query:
    params = QueryParams(query_string)
    given = dict(params)
    if len(given) != len(params.multi_items()):
        raise InvalidParameterError("a parameter is given more than once")
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise InvalidParameterError(_describe_faults(error.errors(), schema)) from None


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
        raise InvalidParameterError(_describe_faults(error.errors())) from None
    return min(longest, seconds or longest)


def negotiate_format(
    wanted: ResponseFormat | None, accept: str, kinds: str | None = None
) -> AnswerFormat:
    """The format to answer in.

    Args:
        wanted: the `format` parameter, which comes before the header.
        accept: the Accept header. One that takes DICOM and no JSON asks for an object, one that
            takes PNG and no JSON for the overlay; whatever else it says, the answer is JSON
            (RFC 9110, 12.5.1 leaves that to the server).
        kinds: the `kinds` parameter, which comes before the header too.

    Raises:
        InvalidParameterError: for both a format and kinds of DICOM objects.
    """
    if wanted is not None and kinds is not None:
        raise InvalidParameterError(
            f"format={wanted} and kinds={kinds} are two forms of the answer: ask for one of them"
        )
    if kinds is not None:
        return "dicom"
    if wanted is not None:
        return wanted
    parts = [part for part in accept.lower().split(",") if weight(part)]
    types = {part.partition(";")[0].strip() for part in parts}
    if any(map(is_dicom, parts)) and not types.intersection(_JSON):
        return "dicom"
    takes_picture = PNG in types or "image/*" in types
    return "overlay" if takes_picture and not types.intersection(_JSON) else "rle"


def check_one_picture(
    form: AnswerFormat, files: int, *, one_frame: bool, cells: bool = False
) -> None:
    """Refuses a picture, DICOM or cells of several files or frames, before any is decoded.

    Raises:
        InvalidParameterError: if there are several, or if both are asked for.
    """
    what, is_what = f"format {form}", "is a picture"
    if form == "dicom":
        what, is_what = "a DICOM object", "has none"
    of_one = form == "dicom" or form in PICTURES
    if cells and of_one:
        raise InvalidParameterError(
            f"pixels=cells comes with JSON, and {what} {is_what}: ask for one of them"
        )
    if not cells and not of_one:
        return
    asked = "pixels=cells" if cells else what
    if files != 1:
        raise InvalidParameterError(f"{asked} is of one file, but the request has {files} files")
    if not one_frame:
        raise InvalidParameterError(f"{asked} is of one frame, but frame may be several: name one")


def _describe_faults(
    faults: Sequence[Mapping[str, Any]], schema: type[BaseModel] = SegmentQuery
) -> str:
    """Names the parameters and their bounds; a value is repeated only if it is a number."""
    sentences = []
    for fault in faults:
        name = str(fault["loc"][-1])
        if name not in (*schema.model_fields, _TIMEOUT_HEADER):
            return f"there is no such parameter; there are {', '.join(schema.model_fields)}"
        said = "" if fault["type"] == "literal_error" else _number(fault.get("input"))
        sentences.append(f"{name}{said}: {fault['msg']}")
    return "; ".join(sentences)


def _number(value: object) -> str:
    try:
        return f" is {float(str(value)):g}"
    except ValueError:
        return ""
