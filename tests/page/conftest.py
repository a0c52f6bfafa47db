"""The page in a real Chromium; in no test may it break a policy, or ask anybody but its service."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.page.reader import Reader
from tests.support.dicom_results import LUNG, RIGHT_LUNG
from tests.support.engines import fitted, write_tiny_model
from tests.support.films import chest, png
from tests.support.processes import ServiceProcess, serving

FOLDER = Path(__file__).parents[2] / "app" / "page"
_IMPORT = """async (names) => {
  const all = await Promise.all(names.map((name) => import(`/${name}.js`)));
  // By whichever of the names: what is in which file is the page's own affair.
  for (const name of names) globalThis[name] = Object.assign({}, ...all);
}"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("page")


@pytest.fixture(scope="session")
def launch() -> Iterator[Any]:
    """Starts Chromium with more arguments."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("there is no Chromium: apt-get install chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        yield lambda *more: driver.chromium.launch(executable_path=chromium, args=[*sandbox, *more])


@pytest.fixture(scope="session")
def browser(launch: Any) -> Iterator[Any]:
    running = launch()
    yield running
    running.close()


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="session")
def modules(browser: Any) -> Iterator[Any]:
    """A page of playwright where runs, regions, outlines, zip and coco are those modules."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=FOLDER))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/runs.js")
        page.evaluate(_IMPORT, ["runs", "regions", "strokes", "outlines", "zip", "coco"])
        yield page
        page.close()
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def lungs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """The service as `make serve` starts it."""
    with serving(tmp_path_factory.mktemp("lungs") / "output", provider="cpu") as running:
        yield running


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finds the bright and the dark part of a film, has codes, and does not know bright films."""
    document = fitted(class_codes=(LUNG, RIGHT_LUNG))
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", document)


@pytest.fixture(scope="session")
def tiny(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    output = tmp_path_factory.mktemp("tiny") / "output"
    with serving(output, model=tiny_model, provider="cpu", max_body_bytes=2**24) as running:
        yield running


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """Opens the page at an address; checks at the end that nothing went wrong in it."""
    readers: list[Reader] = []

    def opened(url: str, chromium: Any = browser, **context: Any) -> Reader:
        context = {"viewport": {"width": 1500, "height": 950}, **context}
        readers.append(Reader(chromium.new_context(**context), url))
        return readers[-1]

    yield opened
    for reader in readers:
        reader.context.close()
        assert reader.troubles == []


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    path.write_bytes(png(chest(70, 60) * 16))
    return path


@pytest.fixture
def reader(tiny: ServiceProcess, visit: Any, film: Path) -> Reader:
    opened: Reader = visit(tiny.url)
    opened.open(film)
    return opened
