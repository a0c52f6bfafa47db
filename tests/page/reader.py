"""Somebody at the page: what they do and see, by roles, labels and texts."""

from __future__ import annotations

import base64
import json
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

# The service's refusals, which the browser writes to its console too; the page has to show them.
_REFUSED = re.compile(r"Failed to load resource.*status of (400|401|403|413|415|422|429|503)")
_TELL = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error("policy", event.violatedDirective, event.blockedURI, event.sourceFile));"""
Point = tuple[float, float]


class Reader:
    """A page in a context of its own.

    Attributes:
        troubles: errors, violations of the policy, and requests to others, in words.
    """

    def __init__(self, context: Any, url: str) -> None:
        self.context, self.url = context, url
        self.troubles: list[str] = []
        context.add_init_script(_TELL)
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on(
            "pageerror", lambda error: self.troubles.append(f"error: {error.message} {error.stack}")
        )
        self.page.on("console", self._hear)
        self.page.on("request", self._watch)
        self.page.on("filechooser", lambda _: None)  # from the start: each is caught
        self.page.goto(url)

    def _hear(self, message: Any) -> None:
        if message.type in {"error", "warning"} and not _REFUSED.search(message.text):
            self.troubles.append(f"{message.type}: {message.text}")

    def _watch(self, request: Any) -> None:
        if not request.url.startswith((self.url, "blob:")):
            self.troubles.append(f"request: {request.url}")

    # What is on the page.
    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def films(self) -> Any:
        return self.page.get_by_role("region", name="Films").get_by_role("listitem")

    def instances(self) -> Any:
        return self.page.get_by_role("region", name="Instances").get_by_role("listitem")

    def film(self) -> Any:
        return self.page.get_by_role("application")

    def hears(self, words: str | re.Pattern[str]) -> None:
        """Waits until the page says so."""
        self.page.get_by_role("status").filter(has_text=words).wait_for()

    def texts(self) -> list[str]:
        """What the list says of each instance, without its number."""
        return [text.split("\n", 1)[1] for text in self.instances().all_inner_texts()]

    # What is done.
    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.settle()

    def settle(self) -> None:
        """Lets the page do what it was told: some of it comes after an import."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
        )

    def choose_files(self, *files: Path) -> None:
        """By the file chooser, which a key opens."""
        with self.page.expect_file_chooser() as chooser:
            self.press("o")
        chooser.value.set_files(files)

    def open(self, *files: Path) -> None:
        """Opens films and waits for the first one's answer."""
        self.choose_files(*files)
        self.hears(re.compile(r"^\d+ instances?\."))

    def drop(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Drops files on the film, as from a folder."""
        given = [[name, base64.b64encode(data).decode()] for name, data in files]
        self.page.evaluate(
            """(given) => {
              const dataTransfer = new DataTransfer();
              for (const [name, data] of given) {
                const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
                dataTransfer.items.add(new File([bytes], name));
              }
              const fields = { dataTransfer, bubbles: true, cancelable: true };
              document.querySelector("main").dispatchEvent(new DragEvent("drop", fields));
            }""",
            given,
        )

    def at(self, point: Point, size: tuple[int, int]) -> Point:
        """Where on the screen a point of a film [height, width] lies that is shown as a whole."""
        box = self.film().bounding_box()
        scale = min(box["width"] / size[1], box["height"] / size[0])
        x, y = (point[0] - size[1] / 2) * scale, (point[1] - size[0] / 2) * scale
        return box["x"] + box["width"] / 2 + x, box["y"] + box["height"] / 2 + y

    def drag(self, *points: Point, button: str = "left") -> None:
        """Along points of the screen."""
        mouse = self.page.mouse
        mouse.move(*points[0])
        mouse.down(button=button)
        for point in points:
            mouse.move(*point, steps=4)
        mouse.up(button=button)
        self.settle()

    def save(self, path: Path, *, everything: bool = False) -> Path:
        """Saves the data set; all films, and not the reviewed ones alone, where it says so."""
        with self.page.expect_download() as download:
            self.press("Control+s")
            if everything:
                self.button("Save all").click()
        download.value.save_as(path)
        return path

    def grey(self) -> npt.NDArray[np.uint8]:
        """The film as it is drawn, cut out, without what lies on it."""
        self.settle()
        url = self.page.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()")
        data = np.frombuffer(base64.b64decode(url.split(",")[1]), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        assert image is not None
        rows, columns = (np.flatnonzero(image[..., 3].any(axis)) for axis in (1, 0))
        film = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (film[..., 3] == 255).all()
        assert (film[..., :3] == film[..., :1]).all()
        return np.ascontiguousarray(film[..., 0]).astype(np.uint8)


def read_zip(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.uint8]]]:
    """The annotations of a saved data set, and its images by name."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        document = json.loads(archive.read("annotations.json"))
        images = {
            name: cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_UNCHANGED)
            for name in archive.namelist()
            if name != "annotations.json"
        }
    return document, {
        name: image.astype(np.uint8) for name, image in images.items() if image is not None
    }


def counts_of(path: Path) -> list[str]:
    """The run lengths of a saved data set's masks."""
    return [entry["segmentation"]["counts"] for entry in read_zip(path)[0]["annotations"]]
