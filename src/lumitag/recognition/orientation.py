"""EXIF orientation: found in a few hundred bytes, without a metadata library.

Only tag 0x0112 is looked at (CIPA DC-008, Exif 3.0, 4.6.5.1.6). Whatever cannot be understood means upright:
a picture is never refused because of its metadata.
"""

from __future__ import annotations

import struct
from typing import Final

from PIL import Image

from lumitag.recognition.jpeg import APP1, segments

UPRIGHT: Final = 1

# How a stored picture is turned to stand upright, by the value of the tag. 1 needs nothing.
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING: Final = frozenset({5, 6, 7, 8})

_EXIF_HEADER: Final = b"Exif\0\0"
_ORIENTATION_TAG: Final = 0x0112
_ENTRY_SIZE: Final = 12


def swaps_sides(orientation: int) -> bool:
    """Return whether width and height change places when the picture is turned upright."""
    return orientation in _LYING


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return the picture as it was seen by the photographer."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def read_jpeg_orientation(content: bytes) -> int:
    """Return the orientation, 1 to 8, that the first EXIF segment of a JPEG gives."""
    blocks = (payload for marker, payload in segments(content) if marker == APP1 and payload.startswith(_EXIF_HEADER))
    return read_exif_orientation(next(blocks, b""))


def read_exif_orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, in a block of EXIF (a TIFF file, with or without its `Exif` header)."""
    try:
        orientation = _find_orientation(exif.removeprefix(_EXIF_HEADER))
    except struct.error:  # the block ends too early
        return UPRIGHT
    return orientation if orientation in _TURNS else UPRIGHT


def _find_orientation(tiff: bytes) -> int:
    """Look through the first image file directory. Raises struct.error where the block is too short for it."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(directory + 2, directory + 2 + count * _ENTRY_SIZE, _ENTRY_SIZE):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
        if tag == _ORIENTATION_TAG:
            return int(value)
    return UPRIGHT
