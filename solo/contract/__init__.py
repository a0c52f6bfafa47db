"""What goes into a model and what comes out of it, without torch.

Training, evaluation, export and serving share this folder, and serving imports nothing else of
`model`. It may import numpy, OpenCV and pydantic, never torch.
"""
