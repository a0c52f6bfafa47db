"""A drag keeps up with the hand: ratios to a redraw of the whole film, in the same run."""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.page.reader import Reader
from tests.support.coco_folder import write
from tests.support.films import chest
from tests.support.processes import ServiceProcess

HEIGHT, WIDTH = 3000, 2500
MOST = 0.5
# Each callback of an animation frame, with what it has left to the rasteriser.
_TIME = """() => {
  const request = requestAnimationFrame;
  globalThis.draws = [];
  globalThis.flush = () => {
    for (const canvas of document.querySelectorAll("canvas"))
      canvas.getContext("2d").getImageData(0, 0, 1, 1);
  };
  globalThis.requestAnimationFrame = (callback) => request((time) => {
    const begin = performance.now();
    callback(time);
    flush();
    draws.push(performance.now() - begin);
  });
}"""
# All pixels of the film through a table, all of it onto the screen, and whole outlines on it.
_WHOLE = """async ([height, width, masks]) => {
  const screen = document.querySelector("canvas"), times = [], rings = [];
  for (let at = 0; at < masks; at++) {
    const ring = new Path2D(), x = 300 + 310 * (at % 7), y = 350 + 380 * Math.floor(at / 7);
    for (let i = 0; i < 1700; i++) {
      const angle = (2 * Math.PI * i) / 1700, radius = 240 + 12 * Math.sin(24 * angle);
      const [dx, dy] = [Math.cos(angle), Math.sin(angle)].map((part) => Math.round(part * radius));
      ring.lineTo(x + dx, y + dy);
    }
    ring.closePath();
    rings.push(ring);
  }
  const cells = Uint16Array.from({ length: height * width }, (_, at) => at);
  const colours = Uint32Array.from({ length: 65536 }, (_, at) => 0xff000000 | (at >> 8));
  const copy = Object.assign(document.createElement("canvas"), screen);
  copy.width = screen.width;
  copy.height = screen.height;
  const context = copy.getContext("2d"), whole = document.createElement("canvas");
  Object.assign(whole, { width, height });
  const image = new ImageData(width, height), out = new Uint32Array(image.data.buffer);
  for (let attempt = 0; attempt < 7; attempt++) {
    const begin = performance.now();
    for (let i = 0; i < cells.length; i++) out[i] = colours[cells[i]];
    whole.getContext("2d").putImageData(image, 0, 0);
    context.resetTransform();
    context.drawImage(whole, 0, 0, copy.width, copy.height);
    const scale = copy.height / height;
    context.scale(scale, scale);
    context.lineWidth = 1.5 / scale;
    for (const ring of rings) context.stroke(ring);
    context.getImageData(0, 0, 1, 1);
    times.push(performance.now() - begin);
    await new Promise((done) => setTimeout(done, 20));
  }
  return times;
}"""


def _data_set(folder: Path, count: int) -> tuple[Path, Path]:
    """A film of 7.5 megapixels with wavy masks, each of some 1,700 outline pixels."""
    film = (cv2.resize(chest(300, 250), (WIDTH, HEIGHT)) // 16).astype(np.uint8)
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    annotations = []
    for at in range(count):
        x, y = 300 + 310 * (at % 7), 350 + 380 * (at // 7)
        radius = (240 if count > 2 else 600) * (1 + 0.05 * np.sin(24 * angles))
        ring = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.fillPoly(mask, [ring.astype(np.int32)], (1,))
        encoded = coco_mask.encode(np.asfortranarray(mask))
        encoded["counts"] = encoded["counts"].decode()
        annotations.append({"id": at + 1, "image_id": 1, "category_id": 1, "segmentation": encoded})
    content = {
        "categories": [{"id": 1, "name": "bright"}],
        "images": [{"id": 1, "file_name": "film.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": annotations,
    }
    write(folder, content, {"film.png": film})
    return folder / "annotations.json", folder / "film.png"


def _drag(reader: Reader, key: str) -> float:
    """Milliseconds of a frame while the left button is dragged, the median of 60 moves."""
    reader.press(key)
    box = reader.film().bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = reader.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 10, y)
    reader.page.evaluate("() => { draws.length = 0 }")
    for at in range(60):
        mouse.move(x + 10 + 3 * (at % 30), y + 2 * at)
    mouse.up()
    draws: list[float] = reader.page.evaluate("() => draws")
    assert len(draws) > 20
    return statistics.median(draws)


@pytest.mark.parametrize("count", [2, 49])
def test_a_drag_is_far_below_a_redraw_of_the_whole_film(
    count: int, tiny: ServiceProcess, visit: Any, tmp_path: Path
) -> None:
    reader = visit(tiny.url)
    reader.page.evaluate(_TIME)
    reader.choose_files(*_data_set(tmp_path, count))
    reader.hears(re.compile(r"^\d+ instances?\."))
    assert reader.instances().count() == count
    ratios = {}
    for key, what in (("w", "window"), ("p", "pan")):
        whole, drag = [], []
        for _ in range(3):  # in turn, since other programs come and go
            whole.append(statistics.median(reader.page.evaluate(_WHOLE, [HEIGHT, WIDTH, count])))
            drag.append(_drag(reader, key))
            reader.press("Space")
        ratios[what] = min(drag) / min(whole)
        told = f"{what}, {count} masks: {min(drag):.1f} ms, whole film {min(whole):.1f} ms"
        print(f"{told}, ratio {ratios[what]:.2f}")  # noqa: T201
    # What the browser says of being timed.
    reader.troubles[:] = [one for one in reader.troubles if "willReadFrequently" not in one]
    assert max(ratios.values()) <= MOST, ratios


def test_what_is_loaded_is_small_and_the_services_own(lungs: ServiceProcess, visit: Any) -> None:
    reader, asked = visit(lungs.url), set[str]()
    reader.page.on("request", lambda request: asked.add(request.url))
    reader.page.reload()
    reader.page.wait_for_load_state("networkidle")
    sizes = {url.removeprefix(lungs.url): len(httpx.get(url).content) for url in asked}
    del sizes["/model"]
    print(sum(sizes.values()), sizes)  # noqa: T201
    assert sum(sizes.values()) <= 60_000
