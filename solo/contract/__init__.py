"""Model contract: manifest, letterbox, greyscale and instances, without torch.

Training, evaluation, export and serving share it: what goes into a model and what comes out of it.
It may import numpy, OpenCV and pydantic, never torch.
"""
