"""Recognition on this machine: bytes to pixels to labels. Pure computation: no network, no files but its own data."""

import os

# ONNX Runtime would tell Microsoft about every process that loads it, under an id that it keeps in the home folder.
# This turns all of it off, and only if it is there before the library is loaded: see Privacy.md in its wheel.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
