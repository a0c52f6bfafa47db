"""The command `python -m solo`: films in, one COCO document and pictures out."""
