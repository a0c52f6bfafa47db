"""Structured logging: one line for each event, and nothing of the patient in any.

JSON, or plain text on a terminal. No names, no UIDs of objects, no file names, no query strings, no
texts of exceptions: a library's message may quote the file.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import textwrap
import traceback
import warnings
from datetime import UTC, datetime
from logging.handlers import MemoryHandler
from typing import Final

from app.log_output import LogOutput

FIELDS_ATTRIBUTE: Final = "fields"
_to_json: Final = json.JSONEncoder(default=str).encode
FLUSH_SECONDS: Final = 0.02
_MOST_BUFFERED: Final = 200
_STANDARD_OUTPUT: Final = 1
_STANDARD_ERROR: Final = 2


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
        return _to_json(entry)


class TextFormatter(JsonFormatter):
    """A log record for somebody who looks on: time of day, event, and the fields that say much."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record in lines of the terminal's width, the later ones indented."""
        entry = json.loads(super().format(record))
        del entry["time"], entry["level"]
        event, request_id = str(entry.pop("event")), entry.pop("request_id", None)
        if entry.get("error"):
            entry["request_id"] = request_id
        if record.levelno > logging.INFO:
            event = f"{record.levelname.lower()}: {event}"
        clock = f"{datetime.fromtimestamp(record.created):%H:%M:%S}"
        fields = [
            f"{name.replace('_', ' ')} {_in_short(value)}"
            for name, value in entry.items()
            if value not in (None, "", [], 0)
        ]
        text = f"{clock}  {event:<12}  {', '.join(fields)}"
        indent = " " * 24
        lines = textwrap.wrap(text, _width(), subsequent_indent=indent, break_on_hyphens=False)
        return "\n".join(lines)


def _in_short(value: object) -> str:
    if isinstance(value, list):
        return str(len(value)) if isinstance(value[0], dict) else " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _width() -> int:
    try:
        columns = os.get_terminal_size(_STANDARD_OUTPUT).columns
    except OSError:
        columns = 0
    return max(columns or 100, 60)


def write(logger: logging.Logger, event: str, **fields: object) -> None:
    """Logs an event with its fields."""
    logger.info(event, extra={FIELDS_ATTRIBUTE: fields})


class BufferedHandler(MemoryHandler):
    """A buffered handler: writes the lines of a moment together, a little later.

    The requests of a batch are answered one after the other, and each would wait for the lines of
    those before it. Outside of an event loop, and from a warning on, lines are handed on at once.

    Args:
        output: where to.
    """

    def __init__(self, output: LogOutput) -> None:
        super().__init__(_MOST_BUFFERED, logging.WARNING)
        self._output = output
        self._timer: asyncio.TimerHandle | None = None

    @property
    def lost_lines(self) -> int:
        """How many lines nobody took."""
        return self._output.lost_lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a record until the moment is over."""
        super().emit(record)
        if self.buffer and self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        """Hands on what was kept."""
        self.acquire()
        try:
            records, self.buffer, self._timer = self.buffer, [], None
            if records:
                self._output.put(
                    "".join(map(self._line, records)).encode(errors="backslashreplace")
                )
        finally:
            self.release()

    def close(self) -> None:
        """Writes what is left; `logging.shutdown` does so at the end of the process."""
        super().close()
        self._output.close()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return f"{self.format(record)}\n"
        except Exception:  # a library's arguments that do not fit its text; neither is repeated
            record.msg, record.args = "a log record could not be written", ()
            record.__dict__.pop(FIELDS_ATTRIBUTE, None)
            return f"{self.format(record)}\n"


def configure_logging() -> None:
    """Sends every log of the process through a formatter to standard output."""
    formatter = TextFormatter() if os.isatty(_STANDARD_OUTPUT) else JsonFormatter()

    def lost_line(lines: int) -> str:
        event = {"levelno": logging.WARNING, "levelname": "WARNING", "msg": "log lines lost"}
        record = logging.makeLogRecord({**event, FIELDS_ATTRIBUTE: {"lines": lines}})
        return f"{formatter.format(record)}\n"

    handler = BufferedHandler(LogOutput(_STANDARD_OUTPUT, lost_line))
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # the service says itself what it does
    # The formatter writes none of these, and they are a third of what a line costs.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    warnings.simplefilter("ignore")  # a library's warning may quote the file


def lost_lines() -> int:
    """How many lines of the log nobody took."""
    handlers = logging.getLogger().handlers
    return sum(one.lost_lines for one in handlers if isinstance(one, BufferedHandler))


def complain(sentence: str) -> None:
    """Tells on standard error why the process ends, and waits for nobody to read it.

    A setting that is quoted may have line breaks and bytes that are no text: they are escaped.
    """
    line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in sentence)
    output = LogOutput(_STANDARD_ERROR, str)
    output.put(f"solo-xray: {line}\n".encode())
    output.close()
