"""Image files for tests, made on the spot: none is committed."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, Final

import numpy as np
from PIL import Image

ORIENTATION: Final = 0x0112


def quadrants(width: int = 160, height: int = 120) -> Image.Image:
    """Return red, green, blue, white: top left, top right, bottom left, bottom right. No two turns look the same."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    return Image.fromarray(pixels)


def corners(image: Image.Image | np.ndarray[Any, Any]) -> str:
    """Return the colours in the middle of the four quadrants, such as `RGBW`; a colour that is not pure is `?`."""
    pixels = np.asarray(image).astype(int)
    height, width = pixels.shape[:2]
    points = [(height // 4, width // 4), (height // 4, width * 3 // 4)]
    points += [(height * 3 // 4, width // 4), (height * 3 // 4, width * 3 // 4)]
    names = {(True, False, False): "R", (False, True, False): "G", (False, False, True): "B", (True, True, True): "W"}
    names[False, False, False] = "K"
    return "".join(names.get(tuple((pixels[point] > 127).tolist()), "?") for point in points)


def file_of(image: Image.Image, file_type: str = "JPEG", **options: Any) -> bytes:
    """Return the bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, file_type, **options)
    return stream.getvalue()


def exif_with(orientation: int) -> Image.Exif:
    """Return EXIF that says nothing but how the camera was held."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return a picture in which every pixel is random: it does not compress."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width: int, height: int, *extra_chunks: bytes, bits: int = 1, data: bytes = b"") -> bytes:
    """Return a small grey PNG that says it is as large as you like."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(data, 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra_chunks) + body + png_chunk(b"IEND", b"")


def jpeg_claiming(width: int, height: int) -> bytes:
    """Return a small JPEG whose header says it is as large as you like."""
    content = file_of(quadrants(96, 96))
    start = content.index(b"\xff\xc0")
    return content[: start + 5] + struct.pack(">HH", height, width) + content[start + 9 :]


def deep_png(pixels: np.ndarray[Any, Any]) -> bytes:
    """Return a PNG of 16 bits a channel from (height, width, channels) of 8 bits; Pillow writes none in colour."""
    height, width, channels = pixels.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0))
    rows = (pixels.astype(">u2") * 257).reshape(height, -1)
    data = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(data, 1)) + png_chunk(b"IEND", b"")
