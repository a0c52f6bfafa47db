"""Takes the page's pictures for docs/, and says what it takes with eight films.

python -m tests.page.pictures --out docs
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.page.reader import Reader
from tests.support.films import chest, png
from tests.support.processes import ServiceProcess, serving

CHEST = Path("examples/chest.dcm")
ANATOMY = Path("model/zoo/thorax-anatomy.onnx")
DESK, PHONE = {"width": 1500, "height": 950}, {"width": 390, "height": 844}


def main() -> None:
    """Needs Chromium and playwright."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--film", type=Path, default=CHEST, help="shown by all pictures")
    arguments = parser.parse_args()
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=sandbox)
        with serving(Path(folder) / "lungs", provider="cpu") as lungs:
            _show_lungs(chromium, lungs, arguments.film, arguments.out)
            _measure(chromium, lungs, Path(folder))
        with serving(Path(folder) / "anatomy", provider="cpu", model=ANATOMY) as anatomy:
            reader = _visit(chromium, anatomy, DESK, arguments.film)
            _take(reader, arguments.out / "page-anatomy.jpg")
        chromium.close()


def _visit(chromium: Any, service: ServiceProcess, size: dict[str, int], film: Path) -> Reader:
    more = {"has_touch": True, "is_mobile": True} if size is PHONE else {}
    reader = Reader(chromium.new_context(viewport=size, device_scale_factor=1, **more), service.url)
    reader.open(film)
    return reader


def _show_lungs(chromium: Any, service: ServiceProcess, film: Path, out: Path) -> None:
    reader = _visit(chromium, service, DESK, film)
    _take(reader, out / "page-lungs.jpg")
    box = reader.film().bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    reader.press("+", "+", "b")
    reader.drag((x - 170, y + 60), (x - 140, y + 130), (x - 110, y + 210))
    reader.page.mouse.move(x - 160, y + 250)
    _take(reader, out / "page-correction.jpg")
    _take(_visit(chromium, service, PHONE, film), out / "page-phone.jpg")


def _take(reader: Reader, path: Path) -> None:
    reader.page.wait_for_timeout(700)
    data = np.frombuffer(reader.page.screenshot(animations="disabled"), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert image is not None
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 85, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")  # noqa: T201


def _measure(chromium: Any, service: ServiceProcess, folder: Path) -> None:
    """Eight films of 7.5 megapixels."""
    reader = Reader(chromium.new_context(viewport=DESK), service.url)
    debugger = chromium.new_browser_cdp_session()
    print(f"empty: {_memory(debugger)}")  # noqa: T201
    films = []
    for at in range(8):
        films.append(folder / f"{at}.png")
        film = cv2.resize(chest(300, 250) * 16 + at, (2500, 3000))
        films[-1].write_bytes(png(film.astype(np.uint16)))
    begin = time.perf_counter()
    reader.open(films[0])
    print(f"first answer: {1000 * (time.perf_counter() - begin):.0f} ms")  # noqa: T201
    reader.choose_files(*films[1:])
    for at in range(8):
        reader.films().nth(at).filter(has_text=re.compile(r"\d instance")).wait_for(timeout=60_000)
    print(f"eight films: {_memory(debugger)}")  # noqa: T201
    times = []
    for _ in range(7):
        begin = time.perf_counter()
        reader.press("PageDown")
        reader.grey()
        times.append(time.perf_counter() - begin)
    middle = 1000 * statistics.median(times)
    print(f"to the next film and its pixels read back: {middle:.0f} ms")  # noqa: T201
    reader.context.close()


def _memory(debugger: Any) -> str:
    """Resident memory of the largest renderer."""
    processes = debugger.send("SystemInfo.getProcessInfo")["processInfo"]
    pages = [Path(f"/proc/{one['id']}/status") for one in processes if one["type"] == "renderer"]
    found = [re.search(r"VmRSS:\s+(\d+)", page.read_text()) for page in pages if page.exists()]
    return f"{max(int(one.group(1)) for one in found if one) / 1024:.0f} MiB"


if __name__ == "__main__":
    main()
