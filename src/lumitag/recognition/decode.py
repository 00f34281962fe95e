"""Bytes to pixels: the door through which hostile files come in.

JPEG, PNG, WebP and the first frame of GIF, told apart by their signature and by nothing else. The size is read from
the header and checked before a single pixel is decoded. Whatever a decoder says against a file becomes an
UnreadableImage with words for people. A decoder may still be made to crash or to hang by a file that nobody has
seen yet, so this runs in a process that may be killed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from lumitag.errors import DamagedImage, ImageTooLarge, ImageTooSmall, NotAnImage, UnreadableImage
from lumitag.recognition.jpeg import rare_coding
from lumitag.recognition.orientation import (
    UPRIGHT,
    read_exif_orientation,
    read_jpeg_orientation,
    swaps_sides,
    turn_upright,
)
from lumitag.recognition.other_files import kind_of_other_file
from lumitag.recognition.regions import WHOLE, Region

Pixels = NDArray[np.uint8]

LANCZOS: Final = Image.Resampling.LANCZOS
BILINEAR: Final = Image.Resampling.BILINEAR

# The scales at which a picture is kept, in eighths: those of libjpeg, which can decode a JPEG at any of them. From a
# half down, its pixels are averages of squares of pixels (3/8 is left out: no such square). Other formats are averaged
# likewise, because a filter that is better than that shows other pixels, and so gives other labels than a JPEG.
_SCALES: Final = (1, 2, 4, 5, 6, 7, 8)
_FULL_SCALE: Final = 8

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


@dataclass(frozen=True, slots=True, eq=False)
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
    _copies: dict[tuple[int, Image.Resampling], Pixels] = field(default_factory=dict, init=False, repr=False)

    def squeezed(self, size: int, resampling: Image.Resampling) -> Pixels:
        """Return the whole picture, upright, squeezed into a square: (size, size, 3), RGB, 0 to 255.

        Whoever wants the same copy gets the same array, which cannot be written to.
        """
        if (size, resampling) not in self._copies:
            self._copies[size, resampling] = np.asarray(self.resized(size, size, resampling))
        return self._copies[size, resampling]

    @property
    def decoded_size(self) -> tuple[int, int]:
        """Width and height of the upright picture as it was decoded, in pixels."""
        width, height = self.raster.size
        return (height, width) if swaps_sides(self.orientation) else (width, height)

    def cut(self, region: Region) -> Picture:
        """Return a part of the upright picture."""
        left, top, right, bottom = region
        upright = turn_upright(self.raster, self.orientation)
        width, height = upright.size
        part = upright.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))
        return Picture(part, UPRIGHT, round((right - left) * self.width), round((bottom - top) * self.height))

    def fitted(self, max_side: int) -> Image.Image:
        """Return the whole picture, upright, in its own proportions, its longer side at most `max_side` pixels."""
        scale = min(1.0, max_side / max(self.width, self.height))
        return self.resized(max(1, round(self.width * scale)), max(1, round(self.height * scale)), LANCZOS)

    def resized(self, width: int, height: int, resampling: Image.Resampling, region: Region = WHOLE) -> Image.Image:
        """Return a region of the picture, upright, `width` x `height` pixels.

        The stored raster may lie on its side: the region has to be the whole or a middle, which no turn moves. Every
        filter of Pillow is antialiased, and that matters more than which one it is.
        """
        size = (width, height)
        if swaps_sides(self.orientation):
            size, region = size[::-1], (region[1], region[0], region[3], region[2])
        across, down = self.raster.size
        box = (region[0] * across, region[1] * down, region[2] * across, region[3] * down)
        stored = self.raster.resize(size, resampling, box, reducing_gap=_REDUCING_GAP)
        return turn_upright(stored, self.orientation)


def decode(content: bytes, limits: DecodeLimits, needed_side: int) -> Picture:
    """Return the picture that a file holds.

    Args:
        content: the whole file.
        limits: checked before anything is decoded.
        needed_side: pixels. The picture is kept at the smallest scale whose sides are both still this long, the same
            one whatever the format.

    Raises NotAnImage, DamagedImage, ImageTooSmall or ImageTooLarge, each with a sentence for people.
    """
    try:
        file_type = _file_type(content)
        if file_type is JpegImagePlugin.JpegImageFile:
            return _decode_jpeg(content, limits, needed_side)
        return _decode_whole(file_type(io.BytesIO(content)), limits, needed_side)
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever they like: OSError, SyntaxError, struct.error, KeyError...
        raise _damaged(content) from error


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
    raise _not_an_image(content)


def _not_an_image(content: bytes) -> NotAnImage:
    kind = kind_of_other_file(content)
    return NotAnImage(f"The file is {kind}. Export it as JPEG, PNG, WebP or GIF and upload that." if kind else None)


def _damaged(content: bytes) -> DamagedImage:
    coding = rare_coding(content)
    return DamagedImage(f"The JPEG has {coding}. Save it as an ordinary JPEG and upload that." if coding else None)


def _decode_jpeg(content: bytes, limits: DecodeLimits, needed_side: int) -> Picture:
    """libjpeg-turbo decodes at a fraction of the scale; what it takes offence at, Pillow may still forgive."""
    scans = content.count(b"\xff\xda")
    if scans > limits.max_scans:
        raise DamagedImage(f"The JPEG has {scans} scans, at most {limits.max_scans} are decoded. Export it again.")
    try:
        raster, size = _decode_jpeg_strictly(content, limits, needed_side)
    except ValueError:
        raster, size = _decode_jpeg_leniently(content, limits, needed_side)
    return _picture(raster, size, needed_side, read_jpeg_orientation(content))


def _decode_jpeg_strictly(
    content: bytes, limits: DecodeLimits, needed_side: int
) -> tuple[Image.Image, tuple[int, int]]:
    """Raises ValueError for any fault of the file."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(content, strict=True)
    _check_size(width, height, limits, limits.max_pixels)
    min_width, min_height = _scaled((width, height), _scale((width, height), needed_side))
    pixels = simplejpeg.decode_jpeg(content, "RGB", min_width=min_width, min_height=min_height)
    return Image.fromarray(pixels), (width, height)


def _decode_jpeg_leniently(
    content: bytes, limits: DecodeLimits, needed_side: int
) -> tuple[Image.Image, tuple[int, int]]:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    size = image.size
    _check_size(*size, limits, limits.max_pixels)
    image.draft("RGB", (needed_side, needed_side))
    return _to_rgb(image), size


def _decode_whole(image: ImageFile.ImageFile, limits: DecodeLimits, needed_side: int) -> Picture:
    """Decode the first frame; there is no `seek` to any other."""
    _check_size(*image.size, limits, limits.max_webp_pixels if image.format == "WEBP" else limits.max_pixels)
    image.load()
    exif = image.info.get("exif", b"")
    return _picture(_to_rgb(image), image.size, needed_side, read_exif_orientation(exif))


def _scale(size: tuple[int, int], needed_side: int) -> int:
    """Return the smallest scale, in eighths, at which no side is shorter than needed; a shorter one stays as it is."""
    return next(scale for scale in _SCALES if _is_enough(_scaled(size, scale), size, needed_side))


def _is_enough(kept: tuple[int, int], size: tuple[int, int], needed_side: int) -> bool:
    return all(side >= min(needed_side, whole) for side, whole in zip(kept, size, strict=True))


def _scaled(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """Return width and height at a scale in eighths, rounded up as libjpeg and Pillow do."""
    width, height = size
    return -(-width * scale // _FULL_SCALE), -(-height * scale // _FULL_SCALE)


def _shrunk(raster: Image.Image, size: tuple[int, int], scale: int) -> Image.Image:
    """Return the picture at a scale in eighths of its whole `size`, whatever the scale that it was decoded at."""
    factor, rest = divmod(round(_FULL_SCALE * raster.width / size[0]), scale)
    if rest:
        return raster.resize(_scaled(size, scale), LANCZOS)
    return raster if factor == 1 else raster.reduce(factor)


def _picture(raster: Image.Image, size: tuple[int, int], needed_side: int, orientation: int) -> Picture:
    width, height = reversed(size) if swaps_sides(orientation) else size
    return Picture(_shrunk(raster, size, _scale(size, needed_side)), orientation, width, height)


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
        white.paste(visible, mask=visible)
        return white
    return image.convert("RGB")
