"""Cancellation on disconnect: clients that hang up while they wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from app.errors import ClientGoneError
from app.http.http1 import DISCONNECTED

T = TypeVar("T")


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Cancels the work when nobody is left to answer, so that it takes no place in a batch.

    The work runs in the request's own task, and no other one waits for ASGI's message beside it:
    that would cost a request more than anything else in here.

    Args:
        request: whose body has been read.
        work: what its answer needs.

    Raises:
        ClientGoneError: if the client left first.
    """
    task = asyncio.current_task()
    disconnected: asyncio.Future[None] | None = request.scope["state"].get(DISCONNECTED)
    if task is None or disconnected is None:  # no connection of this server's
        return await work
    left = False

    def leave(_: asyncio.Future[None]) -> None:
        nonlocal left
        left = True
        task.cancel()

    disconnected.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        # The server may cancel too, and that is not to be taken back.
        if left and task.uncancel() == 0:
            raise ClientGoneError("the client left before its answer was ready") from None
        raise
    finally:
        disconnected.remove_done_callback(leave)
