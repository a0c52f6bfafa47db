"""Logging and warnings of the decoder libraries, which may quote a patient's file, turned off."""

from __future__ import annotations

import logging

import cv2
import pydicom.config


def quieten_decoders() -> None:
    """Turns off pydicom's and OpenCV's logs and pydicom's validation warnings on reading."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
