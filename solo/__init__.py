"""The library: bytes of films in, instances out. No web, no PACS, no cluster, no torch."""

import os

# ONNX Runtime, as it is distributed, reports each session to its maker and keeps an identifier on
# disk. It looks for this once, while it is loaded. Nothing leaves a process for patients' films.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
