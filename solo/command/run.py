"""A run of the command: films through the segmenter into the journal, one refusal never the end."""

from __future__ import annotations

import stat
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Final, NoReturn

from tqdm import tqdm

from solo.command.films import Film, shown
from solo.command.journal import Journal, Stamp, stamp_of
from solo.command.pictures import Pictures
from solo.errors import SoloError
from solo.formats.coco import CocoEntry, coco_annotations, coco_image
from solo.options import Options
from solo.result import Result
from solo.segmenter import Segmenter

_MOST_BYTES: Final = 512 * 2**20  # of a file: those that are decoded ahead are in memory together
_DRAWN_TOGETHER: Final = 2  # pictures are most of the work, and the model wants cores too


@dataclass
class Counts:
    """How many images were segmented now, had been before, and were refused."""

    segmented: int = 0
    before: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class _Task:
    film: Film
    frame: int
    stamp: Stamp


class Run:
    """Segments films that the journal does not have yet.

    Args:
        segmenter: does the work.
        options: which instances are wanted.
        journal: of what was done before, and is told of what is done now.
        pictures: written of each image.
        bar: progress, one step an image; refusals are written above it.

    Attributes:
        counts: of images.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        options: Options,
        journal: Journal,
        pictures: Pictures,
        bar: tqdm[NoReturn],
    ) -> None:
        self.counts = Counts()
        self._segmenter, self._options = segmenter, options
        self._journal, self._pictures, self._bar = journal, pictures, bar
        self._refused: set[str] = set()

    def first_frames(self, films: Iterable[Film]) -> None:
        """Segments the first frame of each film.

        Raises:
            OSError: if results cannot be written.
        """
        self._segment((film, 0) for film in films)

    def further_frames(self, films: Iterable[Film]) -> None:
        """Segments the other frames of each film whose first one was.

        Raises:
            OSError: if results cannot be written.
        """
        many = [(film, self._journal.frames(film.name)) for film in films]
        many = [(film, n) for film, n in many if n > 1 and film.name not in self._refused]
        self._bar.total = self._bar.n + sum(n - 1 for _, n in many)
        self._segment((film, frame) for film, n in many for frame in range(1, n))

    def refuse(self, what: str, reason: str) -> None:
        """Counts a refusal and says why."""
        self.counts.refused += 1
        self._bar.write(f"{what}: {reason}", file=sys.stderr)

    def _segment(self, frames: Iterable[tuple[Film, int]]) -> None:
        waiting: deque[_Task] = deque()  # in the order of outcomes

        def sources() -> Iterator[tuple[str, int]]:
            for task in self._tasks(frames):
                waiting.append(task)
                yield str(task.film.path), task.frame

        overlays = self._pictures.overlays
        outcomes = self._segmenter.map(sources(), self._options, wants_pixels=overlays)
        drawing: deque[tuple[_Task, Result, Future[CocoEntry]]] = deque()
        with closing(outcomes), ThreadPoolExecutor(_DRAWN_TOGETHER) as threads:
            for outcome in outcomes:
                task = waiting.popleft()
                if isinstance(outcome, Result):
                    pictures = threads.submit(self._pictures.write, task.film.name, outcome)
                    drawing.append((task, outcome, pictures))
                else:
                    self._refuse(task.film, task.frame, _reason(outcome))
                    self._bar.update()
                if len(drawing) > _DRAWN_TOGETHER:
                    self._keep(*drawing.popleft())
            while drawing:
                self._keep(*drawing.popleft())

    def _tasks(self, frames: Iterable[tuple[Film, int]]) -> Iterator[_Task]:
        """What is still to be done."""
        for film, frame in frames:
            try:
                facts = film.path.stat()
            except OSError as error:
                self._refuse(film, frame, _reason(error))
            else:
                task = _Task(film, frame, stamp_of(facts))
                if self._journal.has(film.name, frame, task.stamp):
                    self.counts.before += 1
                elif not stat.S_ISREG(facts.st_mode):
                    self._refuse(film, frame, "it is no regular file")
                elif facts.st_size > _MOST_BYTES:
                    limit = f"at most {_MOST_BYTES:,} are read"
                    self._refuse(film, frame, f"the file has {facts.st_size:,} bytes; {limit}")
                else:
                    yield task
                    continue
            self._bar.update()

    def _keep(self, task: _Task, result: Result, pictures: Future[CocoEntry]) -> None:
        image = coco_image(result, 0, task.film.name) | pictures.result()
        self._journal.add(task.stamp, image, coco_annotations(result, 0, 0))
        self.counts.segmented += 1
        self._bar.update()

    def _refuse(self, film: Film, frame: int, reason: str) -> None:
        self._refused.add(film.name)
        self.refuse(shown(film.path) + (f", frame {frame}" if frame else ""), reason)


def _reason(error: SoloError | OSError) -> str:
    if isinstance(error, SoloError):
        return error.detail
    return error.strerror or type(error).__name__
