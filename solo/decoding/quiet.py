"""Silences the libraries that read patients' files, since they log and warn of what is in them."""

from __future__ import annotations

import logging

import cv2
import pydicom.config


def quieten_decoders() -> None:
    """Keeps pydicom and OpenCV from logging and warning of what is in a file; process-wide."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
