"""Inference: ONNX Runtime sessions, providers, precision variants, self-test, cost model."""
