"""The application and its process: `python -m app.main`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from app.gate import KeyMiddleware
from app.handlers import add_handlers
from app.inference import Engine, ModelError, OnnxEngine
from app.isolation.pool import FilmDecoder
from app.journal import configure_logging, quieten_decoders
from app.kept_memory import keep_memory
from app.keys import Keys, KeysError
from app.middleware import ObservingMiddleware
from app.routes import PATHS, router
from app.server import run_server
from app.service import Service
from app.settings import Settings, SettingsError
from model.contract.manifest import RESEARCH_USE_ONLY

_DESCRIPTION = f"""Finds and outlines every object in a radiograph.

**{RESEARCH_USE_ONLY}**
"""


def create_app(
    settings: Settings, engine: Engine | None = None, decoder: FilmDecoder | None = None
) -> FastAPI:
    """Makes the application; its model is warmed up when it starts.

    Args:
        settings: what the operator has set.
        engine: a model that is open already, or None to open the settings' own.
        decoder: what decodes files, or None for processes of its own.

    Raises:
        ModelError: if the model cannot be served.
        KeysError: if there is a file of keys that cannot be used.
    """
    quieten_decoders()

    def open_engine() -> Engine:
        return OnnxEngine(settings.model, settings.provider, settings.max_batch)

    service = Service.build(settings, engine or open_engine(), PATHS, open_engine, decoder)
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

    app: FastAPI = FastAPIOffline(
        title="SOLO X-ray",
        version=service.engine.manifest.version,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        # The page would otherwise ask a public service whether the schema is valid.
        swagger_ui_parameters={"validatorUrl": None},
    )
    app.state.service = service
    app.include_router(router)
    add_handlers(app, service.metrics)
    if keys is not None:
        app.add_middleware(KeyMiddleware, keys=keys, metrics=service.metrics)
    # Added last, so that it surrounds the gate too.
    app.add_middleware(ObservingMiddleware, metrics=service.metrics, routes=PATHS)
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
