"""Codecs: headers of JPEG, JPEG 2000 and JPEG XL, whole JPEG scans, and RLE."""
