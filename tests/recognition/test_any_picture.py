"""Whatever file a picture comes in, its labels are the same; and nobody is told "damaged" who can be told more."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumitag.domain import BoundingBox, Recognition
from lumitag.recognition.embedded import EmbeddedRecognizer
from tests.photographs import PHOTOGRAPHS, photograph
from tests.recognition.pictures import deep_png, exif_with, file_of, quadrants

# How the camera was held -> what it did to the picture.
HELD = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@cache
def large(name: str) -> Image.Image:
    """Return a photograph of about two megapixels, as cameras and web pages have them."""
    image = photograph(name)
    scale = (2e6 / (image.width * image.height)) ** 0.5
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def confidences(recognition: Recognition, at_least: float = 0) -> dict[str, float]:
    return {label.name: label.confidence for label in recognition.labels if label.confidence >= at_least}


def differences(one: Recognition, other: Recognition, at_least: float) -> dict[str, float]:
    """Return by how many points labels differ that one of the two is this sure of."""
    first, second = confidences(one), confidences(other)
    names = confidences(one, at_least).keys() | confidences(other, at_least).keys()
    return {name: round(abs(first.get(name, 0) - second.get(name, 0)), 2) for name in names}


def with_alpha(image: Image.Image, mode: str = "RGBA") -> Image.Image:
    opaque = image.convert(mode)
    opaque.putalpha(255)
    return opaque


def animated(image: Image.Image, file_type: str, **options: Any) -> bytes:
    return file_of(image, file_type, save_all=True, append_images=[quadrants(*image.size)], **options)


LOSSLESS: dict[str, Callable[[Image.Image], bytes]] = {
    "PNG with alpha": lambda image: file_of(with_alpha(image), "PNG"),
    "16-bit PNG": lambda image: deep_png(np.asarray(image)),
    "16-bit PNG with alpha": lambda image: deep_png(np.asarray(with_alpha(image))),
    "animated PNG": lambda image: animated(image, "PNG"),
    "WebP": lambda image: file_of(image, "WEBP", lossless=True, quality=0, method=0),
    "animated WebP": lambda image: animated(image, "WEBP", lossless=True, quality=0, method=0),
}

GREY: dict[str, Callable[[Image.Image], bytes]] = {
    "RGB PNG": lambda grey: file_of(grey.convert("RGB"), "PNG"),
    "grey PNG with alpha": lambda grey: file_of(with_alpha(grey, "LA"), "PNG"),
    "16-bit grey PNG": lambda grey: deep_png(np.asarray(grey)[..., None]),
    "grey GIF": lambda grey: file_of(grey, "GIF"),
    "animated grey GIF": lambda grey: animated(grey, "GIF"),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_the_format_of_the_same_pixels_changes_nothing(recognizer: EmbeddedRecognizer, kind: str) -> None:
    image = photograph("cat")

    assert recognizer.recognize(LOSSLESS[kind](image)) == recognizer.recognize(file_of(image, "PNG"))


@pytest.mark.parametrize("kind", GREY)
def test_the_format_of_the_same_grey_pixels_changes_nothing(recognizer: EmbeddedRecognizer, kind: str) -> None:
    grey = photograph("cat").convert("L")
    plain = recognizer.recognize(file_of(grey, "PNG"))

    assert recognizer.recognize(GREY[kind](grey)) == plain
    assert confidences(plain)["Cat"] >= 80


# How far the labels that are shown may move, in points. Both networks compute in 8 bits, so a change of one step in
# some pixels moves a confidence by about 2 points where it is steep; the photograph of the cat leaves no such doubt.
LOSSY: dict[str, tuple[Callable[[Image.Image], bytes], float]] = {
    "JPEG": (lambda image: file_of(image, quality=95, subsampling=0), 2),
    "JPEG with half the colours": (lambda image: file_of(image, quality=95), 2),
    "JPEG of quality 90": (lambda image: file_of(image, quality=90), 2),
    "progressive JPEG": (lambda image: file_of(image, quality=95, progressive=True), 2),
    "CMYK JPEG": (lambda image: file_of(image.convert("CMYK"), quality=95), 2),
    "JPEG with a colour profile": (lambda image: file_of(image, quality=95, icc_profile=b"\0" * 128), 2),
    "WebP of quality 90": (lambda image: file_of(image, "WEBP", quality=90), 2),
    "palette PNG": (lambda image: file_of(image.quantize(256), "PNG"), 5),
    "palette PNG with a transparent colour": (lambda image: file_of(image.quantize(255), "PNG", transparency=255), 5),
    "GIF": (lambda image: file_of(image, "GIF"), 5),
}


@pytest.mark.parametrize("picture", [photograph, large])
@pytest.mark.parametrize("kind", LOSSY)
def test_the_format_of_a_photograph_hardly_matters(
    recognizer: EmbeddedRecognizer, kind: str, picture: Callable[[str], Image.Image]
) -> None:
    make, points = LOSSY[kind]
    image = picture("cat")
    expected = recognizer.recognize(file_of(image, "PNG", compress_level=1))

    moved = differences(recognizer.recognize(make(image)), expected, at_least=50)

    assert len(moved) >= 5
    assert max(moved.values()) <= points, moved


def test_black_and_white_dots_still_show_a_cat(recognizer: EmbeddedRecognizer) -> None:
    """One bit a pixel, as faxes have it: large enough, the dots are averaged to grey."""
    dots = recognizer.recognize(file_of(large("cat").convert("1"), "PNG"))

    assert confidences(dots)["Cat"] >= 50


@pytest.mark.parametrize("file_type", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", HELD)
def test_boxes_are_where_they_are_seen(recognizer: EmbeddedRecognizer, orientation: int, file_type: str) -> None:
    upright = photograph("motorcycle")
    turn = HELD[orientation]
    stored = upright.transpose(turn) if turn is not None else upright
    options = {"JPEG": {"quality": 95}, "PNG": {"compress_level": 1}, "WEBP": {"quality": 95}}[file_type]

    seen = box_of(
        "Motorcycle", recognizer.recognize(file_of(stored, file_type, exif=exif_with(orientation), **options))
    )

    assert overlap(seen, box_of("Motorcycle", recognizer.recognize(file_of(upright, "PNG")))) >= 0.9


def box_of(name: str, recognition: Recognition) -> BoundingBox:
    return next(label for label in recognition.labels if label.name == name).instances[0].bounding_box


def overlap(one: BoundingBox, other: BoundingBox) -> float:
    """Return what two boxes share of what they cover, 0 to 1."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    shared = max(width, 0) * max(height, 0)
    return shared / (one.width * one.height + other.width * other.height - shared)


def test_a_tiny_picture_is_recognized(recognizer: EmbeddedRecognizer) -> None:
    tiny = recognizer.recognize(file_of(photograph("cat").resize((80, 80)), "PNG"))

    assert confidences(tiny)["Cat"] >= 50


@pytest.mark.parametrize("size", [(10_000, 400), (400, 10_000), (10_000, 80)])
@pytest.mark.parametrize("file_type", ["JPEG", "PNG"])
def test_panoramas_are_recognized(recognizer: EmbeddedRecognizer, file_type: str, size: tuple[int, int]) -> None:
    recognition = recognizer.recognize(file_of(quadrants(*size), file_type))

    assert (recognition.width, recognition.height) == size


def test_a_screenshot_is_recognized(recognizer: EmbeddedRecognizer) -> None:
    """Sharp lines, flat colours and alpha; no photograph, so nothing is known of what it shows."""
    screen = Image.new("RGBA", (1440, 900), "white")
    screen.paste((30, 60, 90, 255), (0, 0, 1440, 48))
    screen.paste(photograph("coffee"), (420, 200))

    assert "Coffee" in confidences(recognizer.recognize(file_of(screen.crop((320, 100, 1120, 700)), "PNG")))


def test_labels_do_not_depend_on_what_is_recognized_besides(recognizer: EmbeddedRecognizer) -> None:
    contents = [file_of(picture(name), "JPEG") for name in PHOTOGRAPHS for picture in (photograph, large)]
    alone = [recognizer.recognize(content) for content in contents]

    for count in range(1, 5):
        with ThreadPoolExecutor(count) as threads:
            assert list(threads.map(recognizer.recognize, contents[::-1])) == alone[::-1]


def test_labels_do_not_depend_on_the_process(recognizer: EmbeddedRecognizer) -> None:
    content = file_of(large("cat"), "JPEG")
    code = (
        "import json, sys; from lumitag.recognition.embedded import EmbeddedRecognizer; "
        "json.dump(EmbeddedRecognizer.load().recognize(sys.stdin.buffer.read()).to_json(), sys.stdout)"
    )
    other = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)

    assert Recognition.from_json(json.loads(other.stdout)) == recognizer.recognize(content)


def test_the_largest_pictures_fit_into_the_memory_of_a_recognizer() -> None:
    largest = Image.linear_gradient("L").resize((10_000, 5_000)).convert("RGBA")
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)); "
        "from lumitag.recognition.embedded import EmbeddedRecognizer; "
        "print(EmbeddedRecognizer.load().recognize(sys.stdin.buffer.read()).width)"
    )
    content = file_of(largest, "PNG", compress_level=1)

    other = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)

    assert int(other.stdout) == 10_000
