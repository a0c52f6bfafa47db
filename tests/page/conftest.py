"""The page's modules in a real Chromium, from a server of their own."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "app" / "page"
_IMPORT = """async (names) => {
  for (const name of names) globalThis[name] = await import(`/${name}.js`);
}"""


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="session")
def modules() -> Iterator[Any]:
    """A playwright page with the modules as globals: runs, regions, outlines, zip and coco."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("there is no Chromium")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=FOLDER))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with playwright.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/runs.js")
            page.evaluate(_IMPORT, ["runs", "regions", "outlines", "zip", "coco"])
            yield page
            browser.close()
    finally:
        server.shutdown()
        server.server_close()
