"""Cancellation on disconnect: clients that hang up while they wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from app.errors import ClientGoneError

T = TypeVar("T")


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Cancels the work when nobody is left to answer, so that it takes no place in a batch.

    The work runs in the request's own task: a second one would cost a request more than anything
    else in here.

    Args:
        request: whose body has been read.
        work: what its answer needs.

    Raises:
        ClientGoneError: if the client left first.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a request is handled in a task")
    left = False

    async def watch() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left = True
        task.cancel()

    watching = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        # The server may cancel too, and that is not to be taken back.
        if left and task.uncancel() == 0:
            raise ClientGoneError("the client left before its answer was ready") from None
        raise
    finally:
        watching.cancel()
