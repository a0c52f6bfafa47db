"""The page of the service, at `/`, and the interactive interface at `/docs`, with their files.

All of it is in memory, since hundreds may ask at once and read none, and is the same for everybody.
Its addresses are relative, for a balancer that serves it under a path of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import fastapi_offline
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response

INTERFACE: Final = "/docs"
DESCRIPTION: Final = "/openapi.json"

_OURS: Final = Path(__file__).parents[1] / "page"
_THEIRS: Final = Path(fastapi_offline.__file__).parent / "static"
_MEDIA_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


def files_of(folder: Path) -> dict[str, Path]:
    """What is served of a folder, by path; editors and archives leave hidden files beside."""
    return {
        "/" if path.name == "index.html" else f"/page/{path.name}": path
        for path in sorted(folder.iterdir())
        if path.suffix in _MEDIA_TYPES and not path.name.startswith(".")
    }


_FILES: Final[dict[str, Path]] = {
    **files_of(_OURS),
    **{
        f"{INTERFACE}/files/{name}": _THEIRS / name
        for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")
    },
}

PAGES: Final = frozenset({*_FILES, INTERFACE, DESCRIPTION})
"""Paths of what has nothing of a film, a model or a key in it."""


def interface_page(title: str) -> str:
    """The interactive interface as HTML; its scripts come from the service itself."""
    files = f"{INTERFACE}/files".removeprefix("/")
    page = get_swagger_ui_html(
        openapi_url=DESCRIPTION.removeprefix("/"),
        title=title,
        swagger_js_url=f"{files}/swagger-ui-bundle.js",
        swagger_css_url=f"{files}/swagger-ui.css",
        swagger_favicon_url=f"{files}/favicon.png",
        # The page would otherwise ask a public service whether the schema is valid.
        swagger_ui_parameters={"validatorUrl": None},
    )
    return bytes(page.body).decode()


def page_files() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """The page of the service and all that it and the interface load, by path."""

    def route(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(_: Request) -> Response:
            return Response(content, media_type=media_type)

        return answer

    return {
        path: route(file.read_bytes(), _MEDIA_TYPES[file.suffix]) for path, file in _FILES.items()
    }
