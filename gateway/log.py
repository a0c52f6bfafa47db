"""Structured logging: a line of JSON for each film, and nothing of the patient in any.

No names, no UIDs, no file names, no texts of exceptions: a library's message may quote the film. A
film has a random number for its lines. Libraries log nothing at all: pynetdicom writes tracebacks
with values of the film, and a line or more for each bad connection.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
import warnings
from datetime import UTC, datetime
from typing import Final

_LOGGER: Final = logging.getLogger("gateway")


class _JsonFormatter(logging.Formatter):
    """A record as one line, with the fields that came with it."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record; of an exception only its type and where it was raised."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            entry["exception"] = record.exc_info[0].__name__
            entry["at"] = [
                f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(record.exc_info[2])
            ]
        return json.dumps(entry, default=str)


def configure_logging() -> None:
    """Sends the gateway's own log to standard output, and nobody else's anywhere."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonFormatter())
    _LOGGER.handlers, _LOGGER.propagate = [handler], False
    _LOGGER.setLevel(logging.INFO)
    for name in ("pynetdicom", "pydicom", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    logging.getLogger().handlers = [logging.NullHandler()]
    logging.raiseExceptions = False  # whoever reads the log may go away
    warnings.simplefilter("ignore")  # a library's warning may quote the film


def write(event: str, **fields: object) -> None:
    """Logs an event with its fields."""
    _LOGGER.info(event, extra={"fields": fields})


def write_fault(event: str, **fields: object) -> None:
    """Logs the exception that is being handled: its type, and where it came from."""
    _LOGGER.error(event, exc_info=True, extra={"fields": fields})


def complain(sentence: str) -> None:
    """Tells on standard error why the process ends."""
    line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in sentence)
    sys.stderr.write(f"solo-xray gateway: {line}\n")
