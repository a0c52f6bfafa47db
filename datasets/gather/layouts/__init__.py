"""Layouts that annotation tools export, each read into COCO documents."""
