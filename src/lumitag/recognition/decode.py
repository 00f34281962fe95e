"""Bytes to pixels: the door through which hostile files come in.

JPEG, PNG, WebP and the first frame of GIF, told apart by their signature and by nothing else. The size is read from
the header and checked before a single pixel is decoded. Whatever a decoder says against a file becomes an
UnreadableImage with words for people. A decoder may still be made to crash or to hang by a file that nobody has
seen yet, so this runs in a process that may be killed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from lumitag.errors import DamagedImage, ImageTooLarge, ImageTooSmall, NotAnImage, UnreadableImage
from lumitag.recognition.orientation import (
    read_exif_orientation,
    read_jpeg_orientation,
    swaps_sides,
    turn_upright,
)

Pixels = NDArray[np.uint8]

LANCZOS: Final = Image.Resampling.LANCZOS
BILINEAR: Final = Image.Resampling.BILINEAR

_REDUCING_GAP: Final = 3.0  # large PNGs are halved until 3 times the target, then resized: as good, much faster
_THUMBNAIL_QUALITY: Final = 85


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What is decoded at all. PNG and WebP cannot be decoded at a smaller scale, so their pixels cost memory.

    Attributes:
        min_side, max_side: pixels of the shorter and the longer side, as Amazon Rekognition has them.
        max_pixels: width times height.
        max_webp_pixels: the same for WebP, which takes several times as long to decode.
        max_scans: of a progressive JPEG. Ordinary ones have about ten; a file of empty scans costs minutes.
    """

    min_side: int = 80
    max_side: int = 10_000
    max_pixels: int = 50_000_000
    max_webp_pixels: int = 25_000_000
    max_scans: int = 100


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, perhaps at a smaller scale and not yet turned upright: turning a small copy is cheaper.

    Attributes:
        raster: RGB, as stored in the file.
        orientation: EXIF, 1 to 8.
        width, height: pixels of the whole picture, upright and at full scale.
    """

    raster: Image.Image
    orientation: int
    width: int
    height: int

    def squeezed(self, size: int, resampling: Image.Resampling) -> Pixels:
        """Return the whole picture, upright, squeezed into a square: (size, size, 3), RGB, 0 to 255.

        Every filter of Pillow is antialiased, and that matters more than which one it is.
        """
        resized = self.raster.resize((size, size), resampling, reducing_gap=_REDUCING_GAP)
        return np.asarray(turn_upright(resized, self.orientation))

    def fitted(self, max_side: int) -> Image.Image:
        """Return the whole picture, upright, in its own proportions, its longer side at most `max_side` pixels."""
        scale = min(1.0, max_side / max(self.width, self.height))
        size = (max(1, round(self.width * scale)), max(1, round(self.height * scale)))
        stored = size[::-1] if swaps_sides(self.orientation) else size
        return turn_upright(self.raster.resize(stored, LANCZOS, reducing_gap=_REDUCING_GAP), self.orientation)


def decode(content: bytes, limits: DecodeLimits, needed_side: int) -> Picture:
    """Return the picture that a file holds.

    Args:
        content: the whole file.
        limits: checked before anything is decoded.
        needed_side: pixels. A JPEG is decoded at the smallest scale whose sides are both still this long.

    Raises NotAnImage, DamagedImage, ImageTooSmall or ImageTooLarge, each with a sentence for people.
    """
    try:
        file_type = _file_type(content)
        if file_type is JpegImagePlugin.JpegImageFile:
            return _decode_jpeg(content, limits, needed_side)
        return _decode_whole(file_type(io.BytesIO(content)), limits)
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever they like: OSError, SyntaxError, struct.error, KeyError...
        raise DamagedImage from error


def thumbnail(content: bytes, max_side: int, limits: DecodeLimits | None = None) -> bytes:
    """Return a JPEG of the picture, upright, its longer side at most `max_side` pixels, without any metadata.

    Raises what `decode` raises.
    """
    picture = decode(content, limits or DecodeLimits(), max_side)
    image = picture.fitted(max_side)
    image.info = {}  # Pillow would write comment and colour profile of the original into the copy
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_THUMBNAIL_QUALITY)
    return stream.getvalue()


def _file_type(content: bytes) -> type[ImageFile.ImageFile]:
    """Return what reads this kind of file, by its first bytes. Raises NotAnImage.

    Image.open would ask every plugin of Pillow, and would make an MpoImageFile of some JPEGs, with more frames and
    more code to attack.
    """
    if not content:
        raise NotAnImage("The file is empty.")
    if content.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if content.startswith((b"GIF87a", b"GIF89a")):
        return GifImagePlugin.GifImageFile
    raise NotAnImage


def _decode_jpeg(content: bytes, limits: DecodeLimits, needed_side: int) -> Picture:
    """libjpeg-turbo decodes at a fraction of the scale; what it takes offence at, Pillow may still forgive."""
    scans = content.count(b"\xff\xda")
    if scans > limits.max_scans:
        raise DamagedImage(f"The JPEG has {scans} scans, at most {limits.max_scans} are decoded. Export it again.")
    try:
        raster, size = _decode_jpeg_strictly(content, limits, needed_side)
    except ValueError:
        raster, size = _decode_jpeg_leniently(content, limits, needed_side)
    return _picture(raster, size, read_jpeg_orientation(content))


def _decode_jpeg_strictly(
    content: bytes, limits: DecodeLimits, needed_side: int
) -> tuple[Image.Image, tuple[int, int]]:
    """Raises ValueError for any fault of the file, and for colours that libjpeg-turbo does not turn into RGB."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(content, strict=True)
    _check_size(width, height, limits, limits.max_pixels)
    pixels = simplejpeg.decode_jpeg(
        content, "RGB", min_width=min(needed_side, width), min_height=min(needed_side, height), min_factor=1
    )
    return Image.fromarray(pixels), (width, height)


def _decode_jpeg_leniently(
    content: bytes, limits: DecodeLimits, needed_side: int
) -> tuple[Image.Image, tuple[int, int]]:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    size = image.size
    _check_size(*size, limits, limits.max_pixels)
    image.draft("RGB", (needed_side, needed_side))
    return _to_rgb(image), size


def _decode_whole(image: ImageFile.ImageFile, limits: DecodeLimits) -> Picture:
    """Decode the first frame; there is no `seek` to any other."""
    _check_size(*image.size, limits, limits.max_webp_pixels if image.format == "WEBP" else limits.max_pixels)
    image.load()
    exif = image.info.get("exif", b"")
    return _picture(_to_rgb(image), image.size, read_exif_orientation(exif))


def _picture(raster: Image.Image, size: tuple[int, int], orientation: int) -> Picture:
    width, height = reversed(size) if swaps_sides(orientation) else size
    return Picture(raster, orientation, width, height)


def _check_size(width: int, height: int, limits: DecodeLimits, max_pixels: int) -> None:
    size = f"The image is {width} x {height} px"
    if min(width, height) < limits.min_side:
        raise ImageTooSmall(f"{size}, the minimum is {limits.min_side} x {limits.min_side} px.")
    if max(width, height) > limits.max_side:
        raise ImageTooLarge(f"{size}, no side may be longer than {limits.max_side} px.")
    if width * height > max_pixels:
        megapixels = f"{width * height / 1e6:.1f} megapixels"
        raise ImageTooLarge(f"{size}, which is {megapixels}; the maximum is {max_pixels / 1e6:g} megapixels.")


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture in 8-bit RGB; what is transparent becomes white, as it looks on most pages."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would cut off at 255 instead of scaling
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        visible = image.convert("RGBA")
        white = Image.new("RGB", visible.size, "white")
        white.paste(visible, mask=visible.getchannel("A"))
        return white
    return image.convert("RGB")
