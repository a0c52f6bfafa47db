"""Structured logs: one JSON line for each event, and nothing of the patient in any.

No names, no UIDs of objects, no file names, no query strings, no texts of exceptions: a library's
message may quote the file.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime

import cv2
import pydicom.config

FIELDS_ATTRIBUTE = "fields"


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


def quieten_decoders() -> None:
    """Keeps libraries that read patients' files from logging and warning of what is in them."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
