"""Real photographs for tests: those that ship inside scikit-image, a development dependency. None is committed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import skimage
from PIL import Image

# name -> (file inside scikit-image, a label that a person would give)
PHOTOGRAPHS: Final = {
    "cat": ("chelsea.png", "Cat"),
    "coffee": ("coffee.png", "Coffee"),
    "astronaut": ("astronaut.png", "Person"),
    "motorcycle": ("motorcycle_left.png", "Motorcycle"),
}


def photograph(name: str) -> Image.Image:
    """Return one photograph as an RGB image."""
    with Image.open(Path(skimage.__file__).parent / "data" / PHOTOGRAPHS[name][0]) as image:
        return image.convert("RGB")


def jpeg_of(image: Image.Image, quality: int = 90) -> bytes:
    """Return the bytes of a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def save_photographs(folder: Path) -> list[Path]:
    """Write all photographs as JPEG files into `folder` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.jpg" for name in PHOTOGRAPHS]
    for path in paths:
        path.write_bytes(jpeg_of(photograph(path.stem)))
    return paths
