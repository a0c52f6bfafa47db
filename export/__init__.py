"""Turns a checkpoint into one self-describing ONNX file. Imports `model`, never `app`."""
