"""The HTTP service. Imports `model.contract`, FastAPI and ONNX Runtime, never torch."""
