"""Security headers, which let the pages run and nothing else.

No origin but the service's own may read an answer: there is no CORS header at all, and no setting
that adds one.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
# The pages load nothing from elsewhere, and nothing frames them.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self'; "
    "img-src 'self' {images}; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'{types}"
)

POLICY: Final = b"content-security-policy"


def security_headers() -> list[tuple[str, str]]:
    """The headers of every answer, errors and refusals included.

    Their policy lets the page of the service run, which writes no text as HTML or as a script
    (Trusted Types), and draws what it has made itself.
    """
    types = "; require-trusted-types-for 'script'; trusted-types 'none'"
    return [
        (POLICY.decode(), _POLICY.format(scripts="", images="blob:", types=types)),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),  # neither films' masks nor anything else is kept on the way
    ]


def interface_policy(page: str) -> str:
    """The policy of the interactive interface, whose library does write HTML.

    Args:
        page: `interface_page`, whose own script is let in by its hash (CSP Level 3, section 8.4).
    """
    digests = [hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(page)]
    hashes = [f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    return _POLICY.format(scripts="".join(hashes), images="data: blob:", types="")
