"""Keys, other hosts, hostile names and files: nothing of them gets in, and nothing out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from app.keys import new_key
from tests.fuzz.corpus import corpus
from tests.fuzz.mutations import mutate
from tests.page.reader import Reader
from tests.support.coco_folder import annotation, document, write
from tests.support.engines import manifest, write_tiny_model
from tests.support.films import chest, png, png_header_only
from tests.support.processes import ServiceProcess, serving

FILM = png(chest() * 16)
KEY, LINE = new_key("clinic-a")
HTML = "<img src=x onerror=alert(1)><b>lung</b>"
TURNED = "\u05dc\u05d1 001 \u05d0"
SENTENCE = re.compile(r"! .{10,}")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    path.write_bytes(FILM)
    return path


@pytest.fixture(scope="module")
def closed(tiny_model: Path, tmp_path_factory: Any) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("closed")
    (folder / "keys").write_text(LINE)
    limits: dict[str, Any] = {"key_rate": 0.5, "key_burst": 2}
    with serving(
        folder / "output", model=tiny_model, provider="cpu", keys_file=folder / "keys", **limits
    ) as running:
        yield running


def _give(reader: Reader, key: str) -> None:
    dialog = reader.page.get_by_role("dialog", name="Key")
    dialog.wait_for()
    dialog.get_by_label("Key").fill(key)
    dialog.get_by_role("button").click()


def test_a_key_is_asked_for_and_kept_nowhere(
    closed: ServiceProcess, visit: Any, film: Path
) -> None:
    page = httpx.get(closed.url)
    assert page.status_code == 200
    assert "tiny" not in page.text
    assert httpx.post(f"{closed.url}/segment", content=FILM).status_code == 401
    reader = visit(closed.url)
    _give(reader, "wrong")
    for wrong in ("\u043a\u043b\u044e\u0447 \U0001f600", "smart\u201cquotes\u201d"):
        reader.page.get_by_role("alert").filter(has_text="does not know that key").wait_for()
        _give(reader, wrong)  # what no header can hold
    _give(reader, KEY)  # asked for again
    reader.page.get_by_text("tiny 1").wait_for()
    reader.open(film)
    kept = reader.page.evaluate(
        """async () => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie,
          location.href, history.state, document.documentElement.outerHTML,
          [...document.querySelectorAll("input")].map((one) => one.value),
          await indexedDB.databases(), await (globalThis.caches?.keys() ?? [])])"""
    )
    assert KEY not in kept
    assert reader.context.cookies() == []
    reader.page.reload()
    reader.page.get_by_role("dialog", name="Key").wait_for()


def test_a_service_that_is_busy_says_so(closed: ServiceProcess, visit: Any, tmp_path: Path) -> None:
    reader = visit(closed.url)
    _give(reader, KEY)
    reader.page.get_by_text("tiny 1").wait_for()
    paths = [tmp_path / f"{at}.png" for at in range(5)]
    for at, path in enumerate(paths):
        path.write_bytes(png(chest(70 + at) * 16))
    reader.choose_files(*paths)
    reader.films().filter(has_text="asked again in").first.wait_for()
    for at in range(5):
        reader.films().nth(at).filter(has_text=re.compile(r"\d instance")).wait_for(timeout=30_000)


def test_other_hosts_and_sites_are_refused(lungs: ServiceProcess) -> None:
    for path in ("/", "/model", "/segment", "/page/page.js"):
        answer = httpx.get(lungs.url + path, headers={"host": "evil.example"})
        assert answer.status_code == 421, path
    for name in ("127.0.0.1", "[::1]", "localhost", "x"):
        assert httpx.get(lungs.url, headers={"host": name}).status_code == 200
    crossed = {"sec-fetch-site": "cross-site"}
    assert httpx.post(f"{lungs.url}/segment", content=FILM, headers=crossed).status_code == 403


def test_the_interactive_description_runs_and_both_are_linked(
    lungs: ServiceProcess, visit: Any
) -> None:
    reader = visit(lungs.url)
    reader.page.get_by_role("link", name="API").click()
    reader.page.get_by_text("/segment", exact=True).first.wait_for()
    with reader.context.expect_page() as opened:
        reader.page.get_by_role("link", name="The page").click()
    opened.value.get_by_text("Drop films here").wait_for()


def test_class_names_stay_text(
    visit: Any, film: Path, tmp_path_factory: Any, tmp_path: Path
) -> None:
    folder = tmp_path_factory.mktemp("names")
    model = write_tiny_model(folder / "m.onnx", manifest(class_names=(HTML, "dark")))
    with serving(folder / "output", model=model, provider="cpu") as running:
        reader = visit(running.url)
        reader.open(film)
        assert HTML in reader.texts()[0]
        assert reader.page.locator("img, b:text('lung')").count() == 0
        _open_names(reader, tmp_path)
        names = reader.instances().first.inner_text()
        assert "px" in names


def _open_names(reader: Reader, folder: Path) -> None:
    """A data set whose class names turn the text round."""
    content = document(
        categories=[{"id": 2, "name": TURNED}, {"id": 3, "name": HTML}],
        annotations=[annotation(category_id=2)],
    )
    write(folder / "set", content, {"film.png": chest(80, 100).astype("uint8")})
    reader.choose_files(folder / "set/annotations.json", folder / "set/film.png")
    reader.films().nth(1).filter(has_text=re.compile("1 instance")).wait_for()
    reader.films().nth(1).get_by_role("button").click()
    row = reader.instances().first
    # What is behind the name is on its right, whatever the name turns.
    name, note = (row.locator(tag).bounding_box() for tag in ("bdi", "small"))
    assert note["x"] >= name["x"]
    assert row.locator("small").inner_text().startswith("1,")


def test_hostile_files_are_refused_in_a_sentence_each(tiny: ServiceProcess, visit: Any) -> None:
    random, valid = np.random.default_rng(15), sorted(corpus().items())
    files = [
        ("<img src=x onerror=alert(1)>.png", b""),
        ("\u202egnp.exe", b"MZ" + bytes(100)),
        ("a" * 300 + ".dcm", b"DICM" * 100),
        ("../../etc/passwd", b"root:x:0:0"),
        ("page.html", b"<script>alert(1)</script>"),
        ("bomb.png", png_header_only(65000, 65000)),
        ("text.txt", "ä".encode() * 1000),
        ("", b"\0" * 128 + b"DICM"),
    ]
    while len(files) < 60:
        name, data = valid[int(random.integers(len(valid)))]
        broken = mutate(name, data, random)
        files.append((f"{name}.bin", broken[: len(broken) // 2]))
    reader = visit(tiny.url)
    reader.drop(files)
    done = reader.films().filter(has_text=re.compile(r"! |\d instance"))
    for at in range(60):
        done.nth(at).wait_for(timeout=60_000)
    texts = reader.films().all_inner_texts()
    assert len(texts) == 60
    refused = [text for text in texts if SENTENCE.search(text)]
    assert len(refused) >= 30
    assert all(SENTENCE.search(text) or re.search(r"\d instance", text) for text in texts)
    # And the page is alive.
    reader.drop([("good.png", png(chest(75, 61) * 16))])
    reader.films().last.get_by_role("button").click()
    reader.films().last.filter(has_text=re.compile(r"\d instance")).wait_for()


def test_a_service_that_stops_meanwhile_is_told(
    tiny_model: Path, visit: Any, film: Path, tmp_path: Path
) -> None:
    with serving(tmp_path / "output", model=tiny_model, provider="cpu") as running:
        reader = visit(running.url)
        reader.open(film)
        reader.press("n", "Delete")
        corrected = reader.texts()
        reader.page.wait_for_load_state("networkidle")
        running.process.kill()
        running.process.wait()
        reader.drop([("other.png", png(chest(75, 61) * 16))])
        reader.films().last.filter(has_text="cannot be reached").wait_for()
        assert reader.texts() == corrected
        reader.save(tmp_path / "saved.zip", everything=True)
        reader.troubles[:] = [one for one in reader.troubles if "ERR_CONNECTION" not in one]
