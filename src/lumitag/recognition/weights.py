"""The released model files, checked byte for byte before they are used."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from lumitag.errors import WeightsChanged

CLASSIFIER: Final = "efficientnet-lite2.onnx"
DETECTOR: Final = "ssdlite-mobilenet-v2.onnx"

_MANIFEST: Final = "sha256.json"


def weights_folder() -> Traversable:
    """Return the folder of the model files inside the installed package."""
    return resources.files("lumitag.recognition") / "weights"


def read_weights(name: str, folder: Traversable) -> bytes:
    """Return a model file. Raises WeightsChanged where it is not the one of the manifest, or missing."""
    manifest = json.loads((folder / _MANIFEST).read_bytes())
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise WeightsChanged(f"The model file {name} is missing. Install Lumitag again.") from error
    if hashlib.sha256(content).hexdigest() != manifest[name]:
        raise WeightsChanged(f"The model file {name} is not the one that was released. Install Lumitag again.")
    return content
