"""Keyboard, screen readers, phones, touch, plain http and path prefixes."""

from __future__ import annotations

import importlib.resources
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import httpx
import pytest

from tests.page.reader import Reader
from tests.support.films import chest, flat, png
from tests.support.processes import ServiceProcess

SIZES = {"desk": (1500, 950), "phone": (390, 844)}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    path.write_bytes(png(chest(140, 120) * 16))
    return path


def _violations(reader: Reader) -> list[str]:
    """What axe-core finds; let in by the debugger, since the page's policy lets no script in."""
    session = reader.context.new_cdp_session(reader.page)
    source = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    session.send("Runtime.evaluate", {"expression": source})
    found = reader.page.evaluate(
        "(values) => axe.run(document, { runOnly: { type: 'tag', values } })", RULES
    )
    assert len(found["passes"]) > 15
    return [
        f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]
    ]


@pytest.mark.parametrize("size", SIZES)
def test_nothing_keeps_people_out(size: str, tiny: ServiceProcess, visit: Any, film: Path) -> None:
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    width, height = SIZES[size]
    reader = visit(tiny.url, viewport={"width": width, "height": height})
    found = {"empty": _violations(reader)}
    reader.open(film)
    found["film"] = _violations(reader)
    reader.press("n", "b")
    box = reader.film().bounding_box()
    reader.drag((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
    found["corrected"] = _violations(reader)
    reader.press("?")
    found["help"] = _violations(reader)
    reader.press("Escape", "Control+s")
    found["save"] = _violations(reader)
    reader.press("Escape")
    reader.drop([("broken.png", b"no film"), ("bright.png", png(flat(250)))])
    reader.films().nth(2).filter(has_text="instance").wait_for()
    reader.films().nth(1).get_by_role("button").click()
    found["refused"] = _violations(reader)
    reader.films().nth(2).get_by_role("button").click()
    reader.page.get_by_role("alert").wait_for()
    found["warning"] = _violations(reader)
    assert {state: faults for state, faults in found.items() if faults} == {}
    # Nothing lies beyond the right edge.
    assert reader.page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_every_control_is_reached_by_tab(tiny: ServiceProcess, visit: Any, film: Path) -> None:
    reader = visit(tiny.url)
    reader.open(film)
    reader.press("n", "Delete")
    reader.page.evaluate("() => document.activeElement.blur()")
    controls = reader.page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select, [tabindex]")]
          .filter((one) => one.checkVisibility() && !one.disabled)
          .filter((one) => !one.closest("dialog")).length"""
    )
    reached = set()
    for _ in range(controls + 3):
        reader.press("Tab")
        reached.add(reader.page.evaluate(
            "() => [...document.querySelectorAll('*')].indexOf(document.activeElement)"
        ))  # fmt: skip
    body = reader.page.evaluate("() => [...document.querySelectorAll('*')].indexOf(document.body)")
    assert len(reached - {body, -1}) == controls


def test_strange_films_are_flagged(tiny: ServiceProcess, visit: Any, tmp_path: Path) -> None:
    (tmp_path / "bright.png").write_bytes(png(flat(250)))
    (tmp_path / "dark.png").write_bytes(png(flat(20)))
    reader = visit(tiny.url)
    reader.open(tmp_path / "bright.png", tmp_path / "dark.png")
    warning = reader.page.get_by_role("alert").filter(has_text="does not know")
    warning.wait_for()
    reader.films().nth(1).filter(has_text="instance").wait_for()
    reader.press("PageDown")
    warning.wait_for(state="hidden")


def test_a_film_upside_down_is_flagged(lungs: ServiceProcess, visit: Any, tmp_path: Path) -> None:
    example = cv2.imread("examples/chest.png", cv2.IMREAD_UNCHANGED)
    assert example is not None
    cv2.imwrite(str(tmp_path / "turned.png"), example[::-1])
    reader = visit(lungs.url)
    reader.open(tmp_path / "turned.png")
    reader.page.get_by_role("alert").filter(has_text="does not know").wait_for()


def test_fingers(tiny: ServiceProcess, visit: Any, film: Path, tmp_path: Path) -> None:
    """One finger is the tool, two zoom."""
    reader = visit(tiny.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    reader.page.get_by_role("button", name="Open films").first.tap()
    reader.open(film)
    touch = reader.context.new_cdp_session(reader.page)

    def middle() -> tuple[float, float]:
        reader.film().scroll_into_view_if_needed()
        box = reader.film().bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        given = [{"x": px, "y": py, "id": at} for at, (px, py) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": given})

    def pinch(x: float, y: float) -> None:
        fingers("touchStart", (x - 30, y))
        fingers("touchStart", (x - 30, y), (x + 30, y))
        for spread in range(30, 91, 10):
            fingers("touchMove", (x - spread, y), (x + spread, y))
        fingers("touchEnd")

    undo, before = reader.button("Undo"), reader.grey().shape
    pinch(*middle())
    reader.page.wait_for_timeout(300)
    assert reader.grey().shape[0] > before[0]
    reader.button("Brush").tap()
    x, y = middle()
    fingers("touchStart", (x, y))
    fingers("touchMove", (x + 20, y + 20))
    fingers("touchEnd")
    undo.click()  # once it can be
    undo.and_(reader.page.locator(":disabled")).wait_for()
    pinch(*middle())  # its first finger begins a stroke, which the second one gives up
    assert not undo.is_enabled()


def _open_correct_save(reader: Reader, film: Path, path: Path) -> None:
    reader.open(film)
    assert reader.instances().count() == 2
    reader.press("n", "Delete")
    reader.save(path, everything=True)
    assert path.stat().st_size > 1000


def test_plain_http_by_a_name(
    launch: Any, lungs: ServiceProcess, visit: Any, film: Path, tmp_path: Path
) -> None:
    """Which is no secure context: some of the browser's interfaces are missing."""
    port = lungs.url.rsplit(":", 1)[1]
    chromium = launch("--host-resolver-rules=MAP x 127.0.0.1")
    reader = visit(f"http://x:{port}", chromium)
    assert reader.page.evaluate("() => isSecureContext") is False
    chest_film = Path("examples/chest.png")
    _open_correct_save(reader, chest_film, tmp_path / "saved.zip")
    reader.context.close()


class _Proxy(BaseHTTPRequestHandler):
    """Passes /films/xray/... on to the service."""

    target = ""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        prefix = "/films/xray"
        if not self.path.startswith(prefix + "/"):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "connection"}}
        path = self.target + self.path.removeprefix(prefix)
        answer = httpx.request(self.command, path, content=body, headers=headers, timeout=30)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name not in {
                "transfer-encoding",
                "connection",
                "content-encoding",
                "content-length",
            }:
                self.send_header(name, value)
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_POST = do_GET  # noqa: N815


@pytest.fixture
def prefixed(lungs: ServiceProcess) -> Iterator[str]:
    handler = type("Proxy", (_Proxy,), {"target": lungs.url})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/films/xray/"
    server.shutdown()
    server.server_close()


def test_behind_a_path_prefix(prefixed: str, visit: Any, tmp_path: Path) -> None:
    reader = visit(prefixed)
    _open_correct_save(reader, Path("examples/chest.dcm"), tmp_path / "saved.zip")
    link = reader.page.get_by_role("link", name="API")
    assert link.evaluate("(link) => link.href").startswith(prefixed)


def test_what_is_always_in_view(lungs: ServiceProcess, visit: Any) -> None:
    reader = visit(lungs.url)
    reader.open(Path("examples/chest.dcm"))
    assert reader.page.get_by_text(re.compile("Research use only")).is_visible()
    assert reader.page.get_by_text(re.compile(r"cxr-lungs \d")).is_visible()
