"""Export of a checkpoint to one self-describing ONNX file. Imports `model`, never `app`."""

import os

# As in `app`: ONNX Runtime otherwise reports what it runs to its maker.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
