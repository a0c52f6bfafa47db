"""Formats of a result: COCO documents, overlays, label maps."""
