"""A run of the command: films through the segmenter into the journal, one refusal never the end."""

from __future__ import annotations

import stat
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import tee
from typing import Final, NoReturn

from tqdm import tqdm

from solo.command.arguments import Arguments
from solo.command.dicom import dicom_kinds, write_objects
from solo.command.films import Film, Found, shown
from solo.command.journal import Journal, Stamp, stamp_of
from solo.command.pictures import write_pictures
from solo.errors import SoloError
from solo.formats.coco import CocoEntry, coco_annotations, coco_image
from solo.result import Result
from solo.segmenter import Segmenter

_MOST_BYTES: Final = 512 * 2**20  # of a file: those that are decoded ahead are in memory together
_DRAWN_TOGETHER: Final = 2  # pictures are most of the work, and the model wants cores too


_Files = tuple[CocoEntry, SoloError | None]  # by what they are, and why one is missing


@dataclass(frozen=True, slots=True)
class _Task:
    film: Film
    frame: int
    stamp: Stamp


class Run:
    """Segments films that the journal does not have yet.

    Args:
        arguments: what is asked for.
        segmenter: does the work.
        journal: of what was done before, and is told of what is done now.
        bar: progress, one step an image; refusals are written above it.

    Attributes:
        counts: of images by what came of them: `segmented`, `done before`, `refused`; and how many
            of the first two are `out of distribution`; those of which there can be no DICOM object.
    """

    def __init__(
        self, arguments: Arguments, segmenter: Segmenter, journal: Journal, bar: tqdm[NoReturn]
    ) -> None:
        outcomes = ("segmented", "done before", "refused", "out of distribution")
        self.counts = dict.fromkeys((*outcomes, "without a DICOM object"), 0)
        self._arguments, self._segmenter = arguments, segmenter
        self._journal, self._bar = journal, bar
        self._refused: set[str] = set()

    def segment(self, found: Found) -> None:
        """Segments the first frame of each film; then the others, where all are asked for.

        Raises:
            OSError: if results cannot be written.
        """
        for folder, reason in found.faults:
            self._tell_refusal(shown(folder), reason)
        self._segment((film, 0) for film in found.films)
        if self._arguments.frame == "first":
            return
        films = [film for film in found.films if film.name not in self._refused]
        further = [(film, range(1, self._journal.frames(film.name))) for film in films]
        self._bar.total = self._bar.n + sum(len(frames) for _, frames in further)
        self._segment((film, frame) for film, frames in further for frame in frames)

    def _segment(self, frames: Iterable[tuple[Film, int]]) -> None:
        ahead, tasks = tee(self._tasks(frames))
        outcomes = self._segmenter.map(
            ((str(task.film.path), task.frame) for task in ahead),
            self._arguments.options,
            wants_pixels=not {"overlay", "sc"}.isdisjoint(self._arguments.formats),
            wants_header=bool(dicom_kinds(self._arguments)),
        )
        drawing: deque[tuple[_Task, Result, Future[_Files]]] = deque()
        with closing(outcomes), ThreadPoolExecutor(_DRAWN_TOGETHER) as threads:
            for outcome, task in zip(outcomes, tasks, strict=False):
                if isinstance(outcome, Result):
                    files = threads.submit(self._write, task.film.name, outcome)
                    drawing.append((task, outcome, files))
                else:
                    self._refuse(task.film, task.frame, _reason(outcome))
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
                continue
            task = _Task(film, frame, stamp_of(facts))
            if image := self._journal.find(film.name, frame, task.stamp):
                self._count("done before", image)
            elif not stat.S_ISREG(facts.st_mode):
                self._refuse(film, frame, "it is no regular file")
            elif facts.st_size > _MOST_BYTES:
                limit = f"at most {_MOST_BYTES:,} are read"
                self._refuse(film, frame, f"the file has {facts.st_size:,} bytes; {limit}")
            else:
                yield task

    def _write(self, name: str, result: Result) -> _Files:
        pictures = write_pictures(self._arguments, name, result)
        objects, missing = write_objects(self._arguments, name, result, self._segmenter.manifest)
        return pictures | objects, missing

    def _keep(self, task: _Task, result: Result, files: Future[_Files]) -> None:
        entries, missing = files.result()
        if missing is not None:
            self.counts["without a DICOM object"] += 1
            self._bar.write(f"{shown(task.film.path)}: {missing.detail}", file=sys.stderr)
        image = coco_image(result, 0, task.film.name) | entries
        self._journal.add(task.stamp, image, coco_annotations(result, 0, 0))
        self._count("segmented", image)

    def _refuse(self, film: Film, frame: int, reason: str) -> None:
        self._refused.add(film.name)
        self._tell_refusal(shown(film.path) + (f", frame {frame}" if frame else ""), reason)
        self._bar.update()

    def _tell_refusal(self, what: str, reason: str) -> None:
        self.counts["refused"] += 1
        self._bar.write(f"{what}: {reason}", file=sys.stderr)

    def _count(self, what: str, image: CocoEntry) -> None:
        self.counts[what] += 1
        strange = image.get("out_of_distribution")
        self.counts["out of distribution"] += strange is not None and strange["flagged"]
        self._bar.update()


def _reason(error: SoloError | OSError) -> str:
    if isinstance(error, SoloError):
        return error.detail
    return error.strerror or type(error).__name__
