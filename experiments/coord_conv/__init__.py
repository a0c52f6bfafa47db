"""What coordinate channels are for: the toy tasks of arXiv 1807.03247."""
