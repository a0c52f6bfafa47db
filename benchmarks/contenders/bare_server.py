"""The least that a Python server does here: python -m benchmarks.contenders.bare_server PORT.

Uvicorn receives, a coroutine hashes and joins a batch by the simplest rule, waits and answers. No
routes, no limits, no logs, no metrics: what is left to gain for whoever has those.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys

import uvicorn
from starlette.types import Receive, Scope, Send

from benchmarks.contenders.accelerator import MAX_BATCH, WAIT_SECONDS, run_seconds


class Bare:
    """An ASGI application."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with the hash of the body."""
        if scope["type"] != "http":
            return
        digest, more = hashlib.sha256(), True
        while more:
            message = await receive()
            digest.update(message.get("body", b""))
            more = message.get("more_body", False)
        answered = asyncio.get_running_loop().create_future()
        self._waiting.append(answered)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await answered
        body = digest.hexdigest().encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _run(self) -> None:
        while self._waiting:
            if len(self._waiting) < MAX_BATCH:
                await asyncio.sleep(WAIT_SECONDS)
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            await asyncio.sleep(run_seconds(len(batch)))
            for answered in batch:
                if not answered.done():
                    answered.set_result(None)
        self._running = None


if __name__ == "__main__":
    uvicorn.run(
        Bare(),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
