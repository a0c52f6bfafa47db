"""One checked COCO data set of several: `python -m datasets.gather`."""
