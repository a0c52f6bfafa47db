"""The application and its process: `python -m app.main`."""

from __future__ import annotations

import sys

from app.startup import Hangup, begin

if __name__ == "__main__":
    hangup = begin()  # before the libraries are loaded, which takes a second

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.http.pages import DESCRIPTION, INTERFACE, interface_page, page_files
from app.http.problems import on_error, on_http_error
from app.http.security_headers import interface_policy, security_headers
from app.keys import KeysError, KeysFile
from app.listeners import open_listeners
from app.logging import complain
from app.middleware.access_log import AccessLogMiddleware
from app.middleware.api_keys import ApiKeyMiddleware, RateLimiter
from app.middleware.hosts import HostMiddleware
from app.openapi import TITLE, describe
from app.routes import FILM_PATHS, PATHS, router
from app.server import run_server
from app.service import Service
from app.settings import Settings, SettingsError
from solo.errors import SoloError
from solo.inference.engine import Engine, ModelError
from solo.sandbox.decoder import RadiographDecoder


def create_app(
    settings: Settings, engine: Engine | None = None, decoder: RadiographDecoder | None = None
) -> Starlette:
    """Makes the application; its model is warmed up when it starts.

    Args:
        settings: what the operator has set.
        engine: a model that is open already, or None to open the settings' own.
        decoder: what decodes files, or None for processes of its own.

    Raises:
        ModelError: if the model cannot be served.
        KeysError: if there is a file of keys that cannot be used.
        SettingsError: if traces are asked for without the libraries for them.
    """
    service = Service.build(settings, PATHS, engine, decoder)
    keys = KeysFile(settings.keys_file) if settings.keys_file else None

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with service.running("open" if keys is None else f"{len(keys)} keys"):
            yield

    @cache
    def description() -> dict[str, Any]:
        return describe(router.routes, closed=keys is not None)

    page = interface_page(TITLE)

    async def docs(_: Request) -> Response:
        return HTMLResponse(page)

    async def openapi(_: Request) -> Response:
        return JSONResponse(description())

    # Outermost first: whoever counts or lets wait has to know the client, and the access log
    # surrounds the API keys too.
    middleware: list[Middleware] = []
    if settings.trusted_proxies:
        trusted = settings.trusted_proxies
        middleware.append(Middleware(ProxyHeadersMiddleware, trusted_hosts=trusted))
    middleware += [
        Middleware(AccessLogMiddleware, metrics=service.metrics, routes=PATHS, films=FILM_PATHS),
        Middleware(HostMiddleware, names=settings.host_names),
    ]
    if service.tracing is not None:
        from app.tracing import TracingMiddleware

        middleware.append(Middleware(TracingMiddleware, tracing=service.tracing))
    if keys is not None:
        rate = settings.key_rate
        rates = RateLimiter(rate, settings.key_burst) if rate is not None else None
        middleware.append(Middleware(ApiKeyMiddleware, keys=keys, rates=rates))
    app = Starlette(
        routes=[
            *(
                Route(one.path, one.endpoint, methods=one.methods)
                for one in router.routes
                if isinstance(one, APIRoute)
            ),
            Route(INTERFACE, docs),
            Route(DESCRIPTION, openapi),
            *(Route(path, file) for path, file in page_files().items()),
        ],
        middleware=middleware,
        exception_handlers={SoloError: on_error, HTTPException: on_http_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.service = service
    app.state.security_headers = security_headers()
    app.state.policies = {INTERFACE: interface_policy(page)}
    return app


def main(hangup: Hangup) -> int:
    """Runs the service until a signal comes.

    Args:
        hangup: of `begin`.

    Returns:
        The exit code: 0 after a clean stop, 2 for a setting, an address, a model or a file of keys
        that cannot be used, 1 for a model that failed while starting.
    """
    try:
        settings = Settings.from_environment()
        listeners = open_listeners(settings.host, settings.port)
        app = create_app(settings)
    except (SettingsError, KeysError, ModelError) as error:
        complain(str(error))
        return 2
    hangup.lead_to(app.state.service.hang_up)
    fatal = run_server(app, listeners)
    if fatal is not None:
        complain(fatal)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(hangup))
