"""Silence for libraries that read patients' files."""

from __future__ import annotations

import logging

import cv2
import pydicom.config


def quieten_decoders() -> None:
    """Keeps libraries that read patients' files from logging and warning of what is in them."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
