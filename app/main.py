"""The application and its process: `python -m app.main`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from app.allocator import keep_memory
from app.http.exception_handlers import add_handlers
from app.http.security_headers import PAGE_FILES, interface_page, security_headers
from app.keys import Keys, KeysError
from app.logging import configure_logging
from app.middleware.access_log import AccessLogMiddleware
from app.middleware.api_keys import ApiKeyMiddleware
from app.middleware.rate_limit import RateLimiter
from app.middleware.shortcut import ShortcutMiddleware
from app.openapi import SILENT, DescribedAPI
from app.routes import PATHS, SEGMENT, router, segment
from app.server import run_server
from app.service import Service
from app.settings import Settings, SettingsError
from solo.contract.manifest import RESEARCH_USE_ONLY
from solo.inference.engine import Engine, ModelError
from solo.inference.precision import open_engine
from solo.inference.providers import GpuOptions
from solo.sandbox.decoder import RadiographDecoder

_TITLE = "SOLO X-ray"
_DESCRIPTION = f"""Finds and outlines every object in a radiograph.

**{RESEARCH_USE_ONLY}**
"""


def create_app(
    settings: Settings, engine: Engine | None = None, decoder: RadiographDecoder | None = None
) -> FastAPI:
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

    def open_model() -> Engine:
        gpu = GpuOptions(settings.cuda_graphs, settings.engine_cache)
        return open_engine(
            settings.model,
            settings.provider,
            settings.max_batch,
            settings.precision,
            gpu,
            cores=settings.cores,
        )

    service = Service.build(settings, engine or open_model(), PATHS, open_model, decoder)
    return application(service)


def application(service: Service) -> FastAPI:
    """Makes the application around a service.

    Raises:
        KeysError: if there is a file of keys that cannot be used.
    """
    settings = service.settings
    keys = Keys.read(settings.keys_file) if settings.keys_file else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = DescribedAPI(
        title=_TITLE,
        version=service.engine.manifest.version,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry=SILENT,
        redirect_slashes=False,
    )
    page = interface_page(_TITLE)
    app.mount(PAGE_FILES, StaticFiles(packages=[("fastapi_offline", "static")]))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page)

    app.state.service = service
    app.state.security_headers = security_headers(page)
    app.include_router(router)
    add_handlers(app)
    app.add_middleware(ShortcutMiddleware, path=SEGMENT, endpoint=segment, metrics=service.metrics)
    if keys is not None:
        app.closed = True
        rate = settings.key_rate
        rates = RateLimiter(rate, settings.key_burst) if rate is not None else None
        app.add_middleware(ApiKeyMiddleware, keys=keys, metrics=service.metrics, rates=rates)
    if service.tracing is not None:
        from app.tracing import TracingMiddleware

        app.add_middleware(TracingMiddleware, tracing=service.tracing, routes=PATHS)
    # Added last, so that it surrounds the API keys too.
    app.add_middleware(AccessLogMiddleware, metrics=service.metrics, routes=PATHS)
    return app


def main() -> int:
    """Runs the service until a signal comes.

    Returns:
        The exit code: 0 after a clean stop, 2 for a setting, a model or a file of keys that
        cannot be used, 1 for a model that failed while starting.
    """
    try:
        settings = Settings.from_environment()
        configure_logging()
        keep_memory()
        app = create_app(settings)
    except (SettingsError, KeysError, ModelError) as error:
        print(f"solo-xray: {error}", file=sys.stderr)  # noqa: T201
        return 2
    fatal = run_server(app, app.state.service, settings)
    if fatal is not None:
        print(f"solo-xray: {fatal}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
