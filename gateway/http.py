"""HTTP client: kept-alive connections, one deadline for each question, bounded answers."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

from gateway.http_deadline import HttpPool, HttpsPool, deadline_of_all
from gateway.outcomes import TryLaterError
from gateway.token_file import read_token

CONNECT_SECONDS: Final = 3.0
MOST_BYTES: Final = 512 * 2**20
_CHUNK: Final = 2**18


@dataclass(frozen=True)
class Answer:
    """An answer of HTTP.

    Attributes:
        status: its status.
        media_type: its Content-Type with parameters, empty where there is none.
        retry_after_seconds: of its Retry-After, 1 where there is none in seconds.
        body: its bytes.
    """

    status: int
    media_type: str
    retry_after_seconds: float
    body: bytes


class Peer:
    """A server that is asked over HTTP; it may be used by several threads at once.

    Args:
        name: `service` or `archive`, for reasons.
        url: its root.
        connections: most that are kept alive.
        token_file: a file whose first line is a bearer token; read again for each question, so
            that a token may be replaced. None sends none.
    """

    def __init__(
        self, name: str, url: object, connections: int, token_file: Path | None = None
    ) -> None:
        self._name, self._url, self._token_file = name, str(url).rstrip("/"), token_file
        # What the operator trusts is what the system trusts; a redirect would go elsewhere.
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=connections,
            retries=False,
            ssl_context=ssl.create_default_context(),
        )
        self._pool.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}

    def ask(
        self,
        method: str,
        path: str,
        deadline: float,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> Answer:
        """Asks, and reads the whole answer.

        Args:
            method: of HTTP.
            path: what follows the root, with a query.
            deadline: on the clock of `time.monotonic`.
            headers: of the request.
            body: of the request.
            most_bytes: of the answer.

        Raises:
            TryLaterError: if it is away, does not answer in time, or answers without an end.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            raise TryLaterError(f"{self._name}-time")
        authorization = self._authorization()
        deadline_of_all.set(deadline)
        try:
            response = self._pool.request(
                method,
                self._url + path,
                body=body,
                headers={**(headers or {}), **authorization},
                timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, left), read=left),
                preload_content=False,
                redirect=False,
            )
            try:
                content = self._read(response, deadline, most_bytes)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        # A certificate that has expired, say, is no fault of what was asked.
        except (NewConnectionError, ConnectTimeoutError, SSLError) as error:
            raise TryLaterError(f"{self._name}-away") from error
        except (HTTPError, OSError) as error:
            late = time.monotonic() >= deadline
            raise TryLaterError(f"{self._name}-{'time' if late else 'lost'}") from error
        return Answer(
            response.status,
            response.headers.get("Content-Type", ""),
            _seconds(response.headers.get("Retry-After", "")),
            content,
        )

    def _authorization(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            return {"Authorization": f"Bearer {read_token(self._token_file)}"}
        except (OSError, ValueError) as error:  # while it is being replaced, say
            raise TryLaterError(f"{self._name}-token") from error

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float, most: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := response.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > most or time.monotonic() > deadline:
                raise TryLaterError(f"{self._name}-{'size' if size > most else 'time'}")
        return b"".join(parts)


def _seconds(text: str) -> float:
    return min(float(text), 60.0) if text.isascii() and text.isdigit() else 1.0
