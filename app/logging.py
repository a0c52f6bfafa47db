"""Structured logging: one JSON line for each event, and nothing of the patient in any.

No names, no UIDs of objects, no file names, no query strings, no texts of exceptions: a library's
message may quote the file.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import traceback
import warnings
from datetime import UTC, datetime
from logging.handlers import MemoryHandler
from typing import Final, TextIO

FIELDS_ATTRIBUTE: Final = "fields"
FLUSH_SECONDS: Final = 0.02
_MOST_BUFFERED: Final = 200


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON, with the record's `fields` beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record; of an exception only its type and where it was raised."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, FIELDS_ATTRIBUTE, {}),
        }
        if record.exc_info and record.exc_info[0]:
            entry["exception"] = record.exc_info[0].__name__
            entry["at"] = [
                f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(record.exc_info[2])
            ]
        return json.dumps(entry, default=str)


def write(logger: logging.Logger, event: str, **fields: object) -> None:
    """Logs an event with its fields."""
    logger.info(event, extra={FIELDS_ATTRIBUTE: fields})


class BufferedHandler(MemoryHandler):
    """A buffered handler: writes the lines of a moment together, a little later.

    The requests of a batch are answered one after the other, and each would wait for the lines of
    those before it. A thread of its own for the lines would take more time from the event loop
    than it gives. Outside of an event loop, and from a warning on, lines are written at once.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(_MOST_BUFFERED, logging.WARNING)
        self._stream = stream
        self._timer: asyncio.TimerHandle | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a record until the moment is over."""
        super().emit(record)
        if self.buffer and self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        """Writes what was kept; `logging.shutdown` does so at the end of the process."""
        self.acquire()
        try:
            records, self.buffer, self._timer = self.buffer, [], None
            self._stream.write("".join(map(self._line, records)))
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads any more: that is no reason to stop
            pass
        finally:
            self.release()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return f"{self.format(record)}\n"
        except Exception:  # a library's arguments that do not fit its text; neither is repeated
            record.msg, record.args = "a log record could not be written", ()
            record.__dict__.pop(FIELDS_ATTRIBUTE, None)
            return f"{self.format(record)}\n"


def configure_logging() -> None:
    """Sends every log of the process through the formatter to standard output."""
    handler = BufferedHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # The formatter writes none of these, and they are a third of what a line costs.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    warnings.simplefilter("ignore")  # a library's warning may quote the file
