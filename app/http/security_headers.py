"""Security headers, and the page of the interactive interface that they let run.

No origin but the service's own may read an answer: there is no CORS header at all, and no setting
that adds one.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import fastapi_offline
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response

_FILES: Final = "/docs/files"
_MEDIA_TYPES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def interface_page(title: str) -> str:
    """The interactive interface as HTML; its scripts come from the service itself."""
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=title,
        swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{_FILES}/swagger-ui.css",
        swagger_favicon_url=f"{_FILES}/favicon.png",
        # The page would otherwise ask a public service whether the schema is valid.
        swagger_ui_parameters={"validatorUrl": None},
    )
    return bytes(page.body).decode()


def page_files() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """What the page loads, by path; from memory, since hundreds may ask at once and read none."""
    folder = Path(fastapi_offline.__file__).parent / "static"

    def route(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(_: Request) -> Response:
            return Response(content, media_type=media_type)

        return answer

    return {
        f"{_FILES}/{name}": route((folder / name).read_bytes(), media_type)
        for name, media_type in _MEDIA_TYPES.items()
    }


def security_headers(page: str) -> list[tuple[str, str]]:
    """The headers of every answer, errors and refusals included.

    One policy fits all: it lets the page run, and everything else runs nothing.

    Args:
        page: `interface_page`, whose own script is let in by its hash (CSP Level 3, section 8.4).
    """
    digests = [hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(page)]
    scripts = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    policy = (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self'; "
        "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),  # neither films' masks nor anything else is kept on the way
    ]
