"""How Amazon Rekognition is given an image.

It takes JPEG and PNG of at most 5 MiB when they are sent along, with sides of 80 to 10,000 px
(https://docs.aws.amazon.com/rekognition/latest/dg/limits.html). It turns a JPEG upright by its EXIF, but not a PNG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from lumitag.ports import ObjectStore
from lumitag.recognition.decode import DecodeLimits, Picture, decode, thumbnail
from lumitag.recognition.orientation import UPRIGHT

MAX_BYTES: Final = 5 * 1024 * 1024
MIN_SIDE: Final = 80
MAX_SIDE: Final = 10_000

_JPEG: Final = b"\xff\xd8"
_PNG: Final = b"\x89PNG"

# Longest sides, in pixels, to try until the JPEG is small enough. The last one always is: 1.6 megapixels.
_LONGEST_SIDES: Final = (MAX_SIDE, 5_000, 2_500, 1_250)


@dataclass(frozen=True, slots=True)
class RekognitionImage:
    """One image as Rekognition is given it.

    Attributes:
        parameter: `Image` of the request: `{"Bytes": ...}`, or `{"S3Object": {"Bucket": ..., "Name": ...}}`.
        width, height: pixels of the whole picture, upright.
    """

    parameter: Mapping[str, Any]
    width: int
    height: int


def image_of_bytes(content: bytes, limits: DecodeLimits) -> RekognitionImage:
    """Return an image whose bytes are sent along: as they are, or as an upright JPEG where Rekognition wants that.

    Raises NotAnImage, DamagedImage, ImageTooSmall or ImageTooLarge, so that nobody pays for such an answer.
    """
    limits = replace(limits, min_side=max(limits.min_side, MIN_SIDE))
    picture = decode(content, limits, needed_side=1)
    sent = content if _is_taken_as_it_is(content, picture) else _as_jpeg(content, limits)
    return RekognitionImage({"Bytes": sent}, picture.width, picture.height)


def images_of(object_store: ObjectStore, limits: DecodeLimits) -> Callable[[str], RekognitionImage]:
    """Return a function that reads a stored image by its key, to send its bytes along."""

    def image_of(key: str) -> RekognitionImage:
        with object_store.open(key) as file:
            return image_of_bytes(file.read(), limits)

    return image_of


def _is_taken_as_it_is(content: bytes, picture: Picture) -> bool:
    is_upright = content.startswith(_JPEG) or (content.startswith(_PNG) and picture.orientation == UPRIGHT)
    return is_upright and len(content) <= MAX_BYTES and max(picture.width, picture.height) <= MAX_SIDE


def _as_jpeg(content: bytes, limits: DecodeLimits) -> bytes:
    copies = (thumbnail(content, side, limits) for side in _LONGEST_SIDES)
    return next(copy for copy in copies if len(copy) <= MAX_BYTES)
