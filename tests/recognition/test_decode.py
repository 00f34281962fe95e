"""Whatever the file, the pixels are right or the error is one that people understand."""

import io
import random
import re
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from lumitag.errors import DamagedImage, ImageTooLarge, ImageTooSmall, NotAnImage, UnreadableImage
from lumitag.recognition.decode import BILINEAR, LANCZOS, DecodeLimits, Picture, decode, thumbnail
from tests.recognition.pictures import (
    corners,
    exif_with,
    file_of,
    jpeg_claiming,
    noise,
    png_chunk,
    png_claiming,
    quadrants,
)

LIMITS = DecodeLimits()

# The stored picture is RGBW; what is seen when the tag says 1 to 8.
SEEN = {1: "RGBW", 2: "GRWB", 3: "WBGR", 4: "BWRG", 5: "RBGW", 6: "BRWG", 7: "WGBR", 8: "GWRB"}


def decoded(content: bytes, limits: DecodeLimits = LIMITS) -> Picture:
    return decode(content, limits, needed_side=64)


def seen(content: bytes) -> str:
    return corners(decoded(content).squeezed(64, LANCZOS))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_type", ["JPEG", "PNG", "WEBP"])
def test_pictures_are_turned_upright(file_type: str, orientation: int) -> None:
    options = {"lossless": True} if file_type == "WEBP" else {}
    picture = decoded(file_of(quadrants(160, 120), file_type, exif=exif_with(orientation), **options))

    assert SEEN[orientation] == corners(picture.squeezed(64, LANCZOS)) == corners(picture.fitted(64))
    assert (picture.width, picture.height) == ((160, 120) if orientation < 5 else (120, 160))


def test_a_picture_in_its_own_proportions_keeps_them_when_turned() -> None:
    picture = decoded(file_of(quadrants(200, 100), exif=exif_with(6)))

    assert picture.fitted(50).size == (25, 50)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(file_of(quadrants(), "JPEG", quality=95), id="JPEG"),
        pytest.param(file_of(quadrants(), "JPEG", progressive=True), id="progressive JPEG"),
        pytest.param(file_of(quadrants().convert("CMYK"), "JPEG"), id="CMYK JPEG"),
        pytest.param(file_of(quadrants(), "MPO", save_all=True, append_images=[noise(160, 120)]), id="MPO"),
        pytest.param(file_of(quadrants(), "PNG"), id="PNG"),
        pytest.param(file_of(quadrants().convert("P", palette=Image.Palette.ADAPTIVE), "PNG"), id="palette PNG"),
        pytest.param(file_of(quadrants(), "WEBP"), id="lossy WebP"),
        pytest.param(file_of(quadrants(), "WEBP", lossless=True), id="lossless WebP"),
        pytest.param(file_of(quadrants(), "GIF"), id="GIF"),
        pytest.param(
            file_of(quadrants(), "GIF", save_all=True, append_images=[quadrants().rotate(180)]), id="animated GIF"
        ),
        pytest.param(
            file_of(quadrants(), "PNG", save_all=True, append_images=[quadrants().rotate(180)]), id="animated PNG"
        ),
        pytest.param(
            file_of(quadrants(), "WEBP", save_all=True, append_images=[quadrants().rotate(180)], lossless=True),
            id="animated WebP",
        ),
    ],
)
def test_every_format_shows_its_first_picture(content: bytes) -> None:
    assert seen(content) == "RGBW"


@pytest.mark.parametrize("file_type", ["JPEG", "PNG", "WEBP", "GIF"])
def test_grey_pictures_become_rgb(file_type: str) -> None:
    pixels = decoded(file_of(Image.new("L", (90, 90), 77), file_type)).squeezed(64, LANCZOS)

    assert pixels.shape == (64, 64, 3)
    assert np.abs(pixels.astype(int) - 77).max() <= 2


def test_black_and_white_pictures_become_rgb() -> None:
    assert (
        seen(file_of(quadrants().convert("L").point(lambda value: 255 * (value > 200)).convert("1"), "PNG")) == "KKKW"
    )


def test_16_bit_grey_is_scaled_and_not_cut_off() -> None:
    image = Image.fromarray(np.full((90, 90), 77 * 256 + 200, np.uint16))

    assert decoded(file_of(image, "PNG")).squeezed(64, LANCZOS)[32, 32].tolist() == [77, 77, 77]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("file_type", ["PNG", "WEBP"])
def test_what_is_transparent_becomes_white(mode: str, file_type: str) -> None:
    image = quadrants().convert("L").point(lambda _: 0).convert(mode)
    image.putalpha(Image.fromarray(np.repeat([[0] * 80 + [255] * 80], 120, axis=0).astype(np.uint8)))

    assert seen(file_of(image, file_type, **({"lossless": True} if file_type == "WEBP" else {}))) == "WKWK"


def test_a_transparent_palette_colour_becomes_white() -> None:
    image = quadrants().convert("P", palette=Image.Palette.ADAPTIVE)
    red = image.getpixel((0, 0))

    assert seen(file_of(image, "PNG", transparency=red)) == "WGBW"


def test_large_jpegs_are_decoded_at_a_smaller_scale() -> None:
    picture = decode(file_of(quadrants(1600, 1200)), LIMITS, needed_side=300)

    assert picture.raster.size == (400, 300)
    assert (picture.width, picture.height) == (1600, 1200)


@pytest.mark.parametrize("size", [(301, 299), (403, 307), (641, 481), (1633, 1225), (1201, 2601), (8000, 90)])
@pytest.mark.parametrize("file_type", ["JPEG", "PNG", "damaged JPEG"])
def test_the_scale_does_not_depend_on_the_format(file_type: str, size: tuple[int, int]) -> None:
    content = file_of(quadrants(*size), file_type.removeprefix("damaged "))
    picture = decode(damaged(content) if file_type == "damaged JPEG" else content, LIMITS, needed_side=300)

    kept = {299: (301, 299), 307: (403, 307), 481: (401, 301), 1225: (409, 307), 2601: (301, 651), 90: (8000, 90)}
    assert picture.raster.size == kept[size[1]]
    assert (picture.width, picture.height) == size
    assert corners(picture.raster) == "RGBW"


def damaged(content: bytes) -> bytes:
    """Return a JPEG with a stray byte before its last marker: libjpeg-turbo refuses it and Pillow forgives it."""
    return content[:-2] + b"\0" + content[-2:]


@pytest.mark.parametrize("size", [(640, 480), (1600, 1200), (1633, 1225), (2600, 2400)])
def test_a_jpeg_and_a_png_show_the_same_pixels(size: tuple[int, int]) -> None:
    """Fine detail is where filters and decoders disagree."""
    detailed = noise(size[0] // 2, size[1] // 2).resize(size, Image.Resampling.BICUBIC)
    jpeg, png = (
        decode(content, LIMITS, needed_side=300).squeezed(300, BILINEAR).astype(int)
        for content in (file_of(detailed, quality=95, subsampling=0), file_of(detailed, "PNG"))
    )

    assert np.abs(jpeg - png).mean() < 2


def test_scaled_decoding_shows_the_same_picture() -> None:
    content = file_of(noise(40, 30).resize((1600, 1200), Image.Resampling.BICUBIC), quality=95)
    scaled = decode(content, LIMITS, needed_side=100).squeezed(64, LANCZOS).astype(int)
    whole = decode(content, LIMITS, needed_side=10_000).squeezed(64, LANCZOS).astype(int)

    assert np.abs(scaled - whole).mean() < 2


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"hello, world", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"RIFF\0\0\0\0WAVE", b"BM" + b"\0" * 99],
)
def test_other_files_are_not_images(content: bytes) -> None:
    with pytest.raises(NotAnImage):
        decoded(content)


@pytest.mark.parametrize("content", [file_of(noise(96, 96), file_type) for file_type in ("JPEG", "PNG", "WEBP", "GIF")])
def test_half_a_file_is_damaged(content: bytes) -> None:
    with pytest.raises(DamagedImage):
        decoded(content[: len(content) // 2])


def test_a_file_of_nothing_but_a_signature_is_damaged() -> None:
    with pytest.raises(DamagedImage, match="Export or upload it again"):
        decoded(b"\xff\xd8\xff\xe0")


@pytest.mark.parametrize("file_type", ["JPEG", "PNG", "WEBP", "GIF"])
def test_small_pictures_are_refused_with_their_size(file_type: str) -> None:
    with pytest.raises(ImageTooSmall, match=re.escape("64 x 90 px, the minimum is 80 x 80 px.")):
        decoded(file_of(quadrants(64, 90), file_type))


@pytest.mark.parametrize("file_type", ["JPEG", "PNG", "WEBP", "GIF"])
def test_the_smallest_picture_is_accepted(file_type: str) -> None:
    assert decoded(file_of(quadrants(80, 80), file_type)).width == 80


@pytest.mark.parametrize("content", [png_claiming(10_001, 90), jpeg_claiming(90, 65_500)])
def test_long_pictures_are_refused_with_their_size(content: bytes) -> None:
    with pytest.raises(ImageTooLarge, match=r"no side may be longer than 10000 px"):
        decoded(content)


@pytest.mark.parametrize("content", [png_claiming(9_000, 6_000), jpeg_claiming(9_000, 6_000)])
def test_pictures_of_many_pixels_are_refused_before_they_are_decoded(content: bytes) -> None:
    start = time.monotonic()

    with pytest.raises(ImageTooLarge, match=r"9000 x 6000 px, which is 54.0 megapixels; the maximum is 50 megapixels"):
        decoded(content)
    assert time.monotonic() - start < 1


def test_webp_has_a_limit_of_its_own() -> None:
    limits = DecodeLimits(max_webp_pixels=9_999)
    picture = quadrants(100, 100)

    assert decoded(file_of(picture, "PNG"), limits).width == 100
    with pytest.raises(ImageTooLarge):
        decoded(file_of(picture, "WEBP"), limits)


def text_bomb() -> bytes:
    compressed = zlib.compress(b"a" * 50_000_000, 9)
    return png_claiming(90, 90, png_chunk(b"zTXt", b"Comment\0\0" + compressed), data=b"\0" * 90 * 13)


def profile_bomb() -> bytes:
    compressed = zlib.compress(b"a" * 50_000_000, 9)
    return png_claiming(90, 90, png_chunk(b"iCCP", b"icc\0\0" + compressed), data=b"\0" * 90 * 13)


def many_texts() -> bytes:
    compressed = zlib.compress(b"a" * 900_000, 9)
    chunks = [png_chunk(b"zTXt", b"%d\0\0" % number + compressed) for number in range(200)]
    return png_claiming(90, 90, *chunks, data=b"\0" * 90 * 13)


def scan_bomb() -> bytes:
    content = file_of(quadrants(), progressive=True)
    first = content.index(b"\xff\xda")
    second = content.index(b"\xff\xda", first + 2)
    return content[:second] + content[first:second] * 500 + content[second:]


def frame_bomb() -> bytes:
    frames = [quadrants(96, 96).rotate(90 * (number % 4)) for number in range(300)]
    return file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])


def idat_bomb() -> bytes:
    return png_claiming(90, 90, data=b"\0" * 50_000_000)


@pytest.mark.parametrize("make", [text_bomb, profile_bomb, many_texts, scan_bomb])
def test_bombs_in_the_details_are_refused_at_once(make: Callable[[], bytes]) -> None:
    content = make()
    start = time.monotonic()

    with pytest.raises(DamagedImage):
        decoded(content)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("make", [frame_bomb, idat_bomb])
def test_what_is_behind_the_first_picture_is_never_looked_at(make: Callable[[], bytes]) -> None:
    content = make()
    start = time.monotonic()

    assert decoded(content).width in {90, 96}
    assert time.monotonic() - start < 2


def test_a_jpeg_of_many_scans_is_refused_with_their_number() -> None:
    with pytest.raises(DamagedImage, match=r"has 5\d\d scans, at most 100 are decoded"):
        decoded(scan_bomb())


def test_running_out_of_memory_is_not_the_fault_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(_: ImageFile.ImageFile) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", exhausted)

    with pytest.raises(MemoryError):
        decoded(file_of(quadrants(), "GIF"))


@pytest.mark.parametrize("file_type", ["JPEG", "PNG", "WEBP", "GIF"])
def test_broken_files_are_decoded_or_refused_and_nothing_else(file_type: str) -> None:
    chance = random.Random(20261123)
    seed = file_of(noise(96, 88).resize((192, 176)), file_type)
    outcomes = set()

    for _ in range(150):
        content = mutated(seed, chance)
        try:
            assert decoded(content).squeezed(32, LANCZOS).shape == (32, 32, 3)
        except UnreadableImage as error:
            outcomes.add(type(error).__name__)

    assert "DamagedImage" in outcomes


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return the file with a few bytes changed, removed or repeated, as disks, networks and attackers do."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 2, 8))):
        place = chance.randrange(min(len(changed), chance.choice((64, 1_000_000))))
        match chance.randrange(5):
            case 0:
                changed[place] ^= 1 << chance.randrange(8)
            case 1:
                changed[place : place + 4] = struct.pack(">I", chance.choice((0, 1, 2**16, 2**31, 2**32 - 1)))
            case 2:
                del changed[place + 16 :]
            case 3 if len(changed) > 64:
                del changed[place : place + chance.randrange(1, 64)]
            case _:
                changed[place:place] = changed[place : place + chance.randrange(512)] * chance.choice((1, 2, 16))
    return bytes(changed)


@given(
    st.binary(max_size=300), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"GIF89a"])
)
def test_any_bytes_behind_a_signature_are_refused_politely(rest: bytes, signature: bytes) -> None:
    with pytest.raises(UnreadableImage) as refusal:
        decoded(signature + rest)
    assert refusal.value.message


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_part_of_a_picture_is_cut_where_it_is_seen(orientation: int) -> None:
    picture = decoded(file_of(quadrants(480, 384), "PNG", exif=exif_with(orientation)))

    part = picture.cut((0.5, 0.25, 1.0, 0.75))  # the right half, from the middle of the upper to that of the lower part

    assert corners(part.squeezed(64, LANCZOS)) == "".join(SEEN[orientation][place] for place in (1, 1, 3, 3))
    assert (part.decoded_size[0] * 2, part.decoded_size[1] * 2) == picture.decoded_size
    assert (part.width * 2, part.height * 2) == (picture.width, picture.height)


def test_a_thumbnail_is_a_small_upright_jpeg() -> None:
    copy = Image.open(io.BytesIO(thumbnail(file_of(quadrants(800, 400), exif=exif_with(6)), 100)))

    assert (copy.format, copy.size, corners(copy)) == ("JPEG", (50, 100), SEEN[6])


def test_a_thumbnail_is_never_larger_than_the_image() -> None:
    assert Image.open(io.BytesIO(thumbnail(file_of(quadrants(120, 90)), 500))).size == (120, 90)


def test_a_thumbnail_of_a_very_long_image_has_at_least_one_row() -> None:
    assert Image.open(io.BytesIO(thumbnail(file_of(quadrants(8000, 80)), 60))).size == (60, 1)


@pytest.mark.parametrize("file_type", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_thumbnail_carries_no_metadata(file_type: str) -> None:
    exif = exif_with(1)
    exif[0x010E] = "SECRET description"
    profile = {"exif": exif, "icc_profile": b"SECRET"}
    options: dict[str, dict[str, Any]] = {
        "GIF": {"comment": b"SECRET"},
        "JPEG": {"comment": b"SECRET", **profile},
        "PNG": profile,
        "WEBP": profile,
    }
    content = file_of(quadrants(), file_type, **options[file_type])
    assert b"SECRET" in content or file_type == "PNG"

    copy = thumbnail(content, 100)

    assert b"SECRET" not in copy
    assert {"exif", "icc_profile", "comment", "xmp"}.isdisjoint(Image.open(io.BytesIO(copy)).info)


def test_a_thumbnail_obeys_the_limits() -> None:
    with pytest.raises(ImageTooLarge):
        thumbnail(file_of(quadrants()), 100, DecodeLimits(max_side=100))
