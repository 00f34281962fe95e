"""How pictures look: synthetic ones whose figures are known, real ones that are brightened, blurred, turned."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import skimage.measure
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from lumitag.domain import BoundingBox, DominantColor, ImageProperties, Instance, Label, Recognition
from lumitag.recognition.colors import css_color, css_colors
from lumitag.recognition.decode import DecodeLimits, decode
from lumitag.recognition.embedded import EmbeddedRecognizer
from lumitag.recognition.properties import COPY_SIDE, MAX_COLORS, describe
from tests.photographs import PHOTOGRAPHS, jpeg_of, photograph
from tests.recognition.pictures import exif_with, file_of, noise

RED, BLUE = (200, 30, 40), (20, 60, 190)
Rgb = tuple[int, int, int]

# Whites are so near to each other that some are one colour, as they are to the eye.
TELLING = sorted({rgb for rgb in css_colors().values() if min(rgb) < 200})


def look(image: Image.Image | bytes, labels: tuple[Label, ...] = ()) -> ImageProperties:
    return with_instances(image, labels)[0]


def with_instances(image: Image.Image | bytes, labels: tuple[Label, ...]) -> tuple[ImageProperties, tuple[Label, ...]]:
    content = image if isinstance(image, bytes) else file_of(image, "PNG")
    return describe(decode(content, DecodeLimits(), COPY_SIDE), labels)


def stripes(*parts: tuple[Rgb, int], width: int = 640, height: int = 480) -> Image.Image:
    """Return upright stripes, each as many percent wide as it says."""
    image, left = Image.new("RGB", (width, height)), 0
    for color, percent in parts:
        image.paste(color, (left * width // 100, 0, width, height))
        left += percent
    return image


def with_box(box: tuple[float, float, float, float], color: Rgb, background: Rgb) -> Image.Image:
    """Return a box, left, top, width, height in ratios, on a plain background."""
    image = Image.new("RGB", (600, 600), background)
    left, top, width, height = (round(600 * ratio) for ratio in box)
    image.paste(color, (left, top, left + width, top + height))
    return image


def seen_at(*boxes: tuple[float, float, float, float], confidence: float = 90.0) -> tuple[Label, ...]:
    instances = tuple(Instance(BoundingBox(*box), confidence) for box in boxes)
    return (Label("Thing", "test:thing", confidence, instances=instances), Label("Other", "test:other", 80.0))


def colors(found: Sequence[DominantColor]) -> list[tuple[Rgb, float]]:
    return [((color.red, color.green, color.blue), color.pixel_percent) for color in found]


def shares(found: Sequence[DominantColor]) -> dict[str, float]:
    """Return the percent of pixels by CSS name."""
    return {css_color(color.red, color.green, color.blue): color.pixel_percent for color in found}


def quality(properties: ImageProperties) -> list[float]:
    found = properties.quality
    assert found.contrast is not None
    return [found.brightness, found.sharpness, found.contrast]


# Colours


def test_two_colours_are_found_with_their_shares() -> None:
    assert colors(look(stripes((RED, 70), (BLUE, 30))).dominant_colors) == [(RED, 70.0), (BLUE, 30.0)]


@given(st.integers(5, 95), st.integers(200, 3000))
@settings(max_examples=30, deadline=None)
def test_shares_are_right_wherever_the_edge_is(percent: int, width: int) -> None:
    found = shares(look(stripes((RED, percent), (BLUE, 100 - percent), width=width, height=100)).dominant_colors)

    assert found[css_color(*RED)] == pytest.approx(percent, abs=1.5)
    assert found[css_color(*BLUE)] == pytest.approx(100 - percent, abs=1.5)


@given(st.lists(st.sampled_from(TELLING), min_size=1, max_size=5, unique=True))
@settings(max_examples=40, deadline=None)
def test_css_colours_come_back_as_they_are(palette: list[Rgb]) -> None:
    found = look(stripes(*((color, 100 // len(palette)) for color in palette))).dominant_colors

    assert {rgb for rgb, percent in colors(found) if percent > 100 / len(palette) - 3} <= set(palette)
    assert sum(color.pixel_percent for color in found) <= 100


def test_one_colour_is_one_colour() -> None:
    assert colors(look(Image.new("RGB", (300, 200), (64, 130, 109))).dominant_colors) == [((64, 130, 109), 100.0)]


def test_a_wall_between_two_names_is_one_colour() -> None:
    """Its pixels scatter around the middle between two names of CSS."""
    random = np.random.default_rng(0)
    pixels = np.array((120, 120, 120)) + random.integers(-2, 3, (400, 400, 1))
    image = Image.fromarray(pixels.astype(np.uint8))
    middle = Image.fromarray((np.array((116.5, 116.5, 116.5)) + random.integers(-3, 4, (400, 400, 1))).astype(np.uint8))

    assert len(look(image).dominant_colors) == 1
    assert len(look(middle).dominant_colors) == 1


def test_rare_colours_are_left_out() -> None:
    [(only, percent)] = colors(look(stripes((RED, 99), (BLUE, 1))).dominant_colors)

    assert only == RED
    assert percent == pytest.approx(99, abs=1.5)


def test_there_are_at_most_twenty_colours_most_frequent_first() -> None:
    palette = list(css_colors().values())[::4]
    found = look(stripes(*((color, 3) for color in palette[:33]), width=990)).dominant_colors
    percents = [color.pixel_percent for color in found]

    assert len(found) == MAX_COLORS
    assert percents == sorted(percents, reverse=True)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_percents_of_a_photograph_add_up_to_most_of_it(name: str) -> None:
    found = look(photograph(name)).dominant_colors

    assert 70 < sum(color.pixel_percent for color in found) <= 100
    assert len(set(colors(found))) == len(found) <= MAX_COLORS


# Foreground, background, instances


def test_boxes_are_the_foreground() -> None:
    box = (0.2, 0.3, 0.4, 0.5)
    found, labels = with_instances(with_box(box, RED, BLUE), seen_at(box))

    assert found.foreground is not None
    assert found.background is not None
    assert colors(found.foreground.dominant_colors) == [(RED, 100.0)]
    assert colors(found.background.dominant_colors) == [(BLUE, 100.0)]
    assert colors(found.dominant_colors) == [(BLUE, 80.0), (RED, 20.0)]
    assert colors(labels[0].instances[0].dominant_colors) == [(RED, 100.0)]
    assert labels[1].instances == ()


def test_every_instance_has_its_own_colours() -> None:
    boxes = (0.0, 0.0, 0.5, 1.0), (0.4, 0.0, 0.2, 1.0), (0.99999, 0.99999, 0.00001, 0.00001)
    _, [label, _] = with_instances(stripes((RED, 50), (BLUE, 50)), seen_at(*boxes))

    assert [colors(one.dominant_colors) for one in label.instances] == [
        [(RED, 100.0)],
        [(RED, 50.0), (BLUE, 50.0)],
        [(BLUE, 100.0)],
    ]


def test_an_unsure_instance_is_not_the_foreground_but_has_colours() -> None:
    found, [label, _] = with_instances(stripes((RED, 50), (BLUE, 50)), seen_at((0, 0, 0.5, 1), confidence=49.9))

    assert found.foreground is None
    assert label.instances[0].dominant_colors


def test_without_boxes_the_foreground_is_what_stands_out() -> None:
    found = look(with_box((0.3, 0.3, 0.4, 0.4), RED, BLUE))

    assert found.foreground is not None
    assert found.background is not None
    assert colors(found.foreground.dominant_colors) == [(RED, 100.0)]
    assert colors(found.background.dominant_colors) == [(BLUE, 100.0)]


def test_where_nothing_stands_out_all_is_background() -> None:
    found = look(stripes((RED, 50), (BLUE, 50)))

    assert found.foreground is None
    assert found.background is not None
    assert found.background.dominant_colors == found.dominant_colors


def test_a_box_around_everything_leaves_no_background() -> None:
    found = look(stripes((RED, 50), (BLUE, 50)), seen_at((0, 0, 1, 1)))

    assert found.background is None
    assert found.foreground is not None
    assert found.foreground.dominant_colors == found.dominant_colors


def test_quality_is_that_of_the_region_and_contrast_that_of_the_whole() -> None:
    sharp = photograph("motorcycle").resize((400, 400))
    image = sharp.filter(ImageFilter.GaussianBlur(6))
    image.paste(ImageEnhance.Brightness(sharp).enhance(0.5).crop((100, 100, 300, 300)), (100, 100))
    found = look(image, seen_at((0.25, 0.25, 0.5, 0.5)))

    assert found.foreground is not None
    assert found.background is not None
    assert found.foreground.quality.sharpness > found.quality.sharpness > found.background.quality.sharpness + 20
    assert found.foreground.quality.brightness < found.quality.brightness < found.background.quality.brightness
    assert found.foreground.quality.contrast is found.background.quality.contrast is None
    assert found.quality.contrast is not None


# Quality


@pytest.mark.parametrize(("level", "lightness"), [(0, 0.0), (119, 50.0), (128, 53.6), (255, 100.0)])
def test_brightness_is_the_lightness_of_grey(level: int, lightness: float) -> None:
    """The figures are CIE L* of sRGB's greys."""
    found = look(Image.new("RGB", (200, 200), (level,) * 3))

    assert quality(found) == pytest.approx([lightness, 0.0, 0.0], abs=0.1)


@pytest.mark.parametrize(("percent", "contrast"), [(50, 100.0), (80, 80.0), (90, 60.0)])
def test_contrast_of_black_and_white_is_known(percent: int, contrast: float) -> None:
    """Twice the standard deviation of a share p of white: 200 * sqrt(p * (1 - p))."""
    found = look(stripes(((0, 0, 0), percent), ((255, 255, 255), 100 - percent)))

    assert found.quality.contrast == pytest.approx(contrast, abs=0.1)
    assert found.quality.brightness == pytest.approx(100 - percent, abs=0.1)


def test_an_edge_is_sharp_and_a_blurred_one_is_not() -> None:
    edge = stripes(((0, 0, 0), 50), ((255, 255, 255), 50), width=300, height=300)

    assert look(edge).quality.sharpness == 100.0
    assert look(edge.filter(ImageFilter.GaussianBlur(3))).quality.sharpness < 50
    assert look(edge.filter(ImageFilter.GaussianBlur(10))).quality.sharpness < 5
    assert look(noise(300, 300)).quality.sharpness > 90


def test_sharpness_falls_as_the_blur_effect_of_another_library_rises() -> None:
    images = [photograph(name).resize((300, 300)) for name in PHOTOGRAPHS]
    blur: Any = skimage.measure.blur_effect
    blurred = [image.filter(ImageFilter.GaussianBlur(radius)) for image in images for radius in (0, 1, 2, 3)]
    ours = [look(image).quality.sharpness for image in blurred]
    theirs = [1 - blur(np.asarray(image.convert("L")), h_size=9) for image in blurred]

    assert np.corrcoef(ours, theirs)[0, 1] > 0.95


def rising(values: Sequence[float]) -> bool:
    return all(one <= other for one, other in pairwise(values))


@given(st.sampled_from(sorted(PHOTOGRAPHS)), st.lists(st.floats(0.2, 1.0), min_size=2, max_size=4, unique=True))
@settings(max_examples=20, deadline=None)
def test_more_light_is_brighter_and_less_contrast_flatter(name: str, factors: list[float]) -> None:
    image, factors = photograph(name), sorted(factors)

    assert rising([look(ImageEnhance.Brightness(image).enhance(factor)).quality.brightness for factor in factors])
    assert rising([look(ImageEnhance.Contrast(image).enhance(factor)).quality.contrast or 0.0 for factor in factors])


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_more_blur_is_never_sharper(name: str) -> None:
    image = photograph(name)
    blurred = [look(image.filter(ImageFilter.GaussianBlur(radius))).quality.sharpness for radius in (12, 6, 3, 1.5, 0)]

    assert rising(blurred)
    assert blurred[0] < 20
    assert blurred[-1] > 60


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_enlarging_a_small_picture_does_not_make_it_sharper(name: str) -> None:
    image = photograph(name)
    small = image.resize((120, 90))
    enlarged = small.resize((1200, 900), Image.Resampling.BICUBIC)

    assert look(small).quality.sharpness < look(image).quality.sharpness
    assert look(enlarged).quality.sharpness < look(image).quality.sharpness
    assert look(enlarged).quality.sharpness == pytest.approx(look(small).quality.sharpness, abs=15)


# The same picture, whatever its file


def assert_alike(one: ImageProperties, other: ImageProperties, points: float = 1.0) -> None:
    """Every colour of note has its counterpart; a rarer one may be under the limit in one of the two."""
    assert quality(one) == pytest.approx(quality(other), abs=points)
    for color in one.dominant_colors:
        if color.pixel_percent > 4:
            assert figures(min(other.dominant_colors, key=partial(distance, color))) == pytest.approx(
                figures(color), abs=points
            )


def figures(color: DominantColor) -> list[float]:
    """Return red, green, blue and the share, each in percent."""
    return [color.red / 2.55, color.green / 2.55, color.blue / 2.55, color.pixel_percent]


def distance(color: DominantColor, other: DominantColor) -> float:
    return float(np.abs(np.subtract(figures(color)[:3], figures(other)[:3])).sum())


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_png_and_jpeg_look_the_same(name: str) -> None:
    image = photograph(name)

    assert_alike(look(file_of(image, "PNG")), look(jpeg_of(image, quality=97)))


def test_a_large_picture_that_is_decoded_at_a_smaller_scale_looks_the_same() -> None:
    image = photograph("coffee").resize((2400, 1600), Image.Resampling.LANCZOS)

    assert_alike(look(file_of(image, "PNG")), look(jpeg_of(image, quality=97)), points=1.5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_look_the_same(orientation: int) -> None:
    image = photograph("cat")
    upright = {1: lambda i: i, 2: ImageOps.mirror, 4: ImageOps.flip}
    turns: dict[int, Callable[[Image.Image], Image.Image]] = {
        3: lambda i: i.transpose(Image.Transpose.ROTATE_180),
        5: lambda i: i.transpose(Image.Transpose.TRANSPOSE),
        6: lambda i: i.transpose(Image.Transpose.ROTATE_90),
        7: lambda i: i.transpose(Image.Transpose.TRANSVERSE),
        8: lambda i: i.transpose(Image.Transpose.ROTATE_270),
        **upright,
    }
    stored = file_of(turns[orientation](image), "PNG", exif=exif_with(orientation))
    left_half = seen_at((0.0, 0.0, 0.5, 1.0))
    expected, [known, _] = with_instances(image, left_half)
    found, [label, _] = with_instances(stored, left_half)

    assert_alike(found, expected)
    assert found.foreground is not None
    assert expected.foreground is not None
    assert found.foreground.quality.brightness == pytest.approx(expected.foreground.quality.brightness, abs=1)
    assert shares(label.instances[0].dominant_colors) == {
        name: pytest.approx(share, abs=1) for name, share in shares(known.instances[0].dominant_colors).items()
    }


@pytest.mark.parametrize("size", [(80, 80), (5000, 100), (100, 5000)])
def test_any_shape_has_properties(size: tuple[int, int]) -> None:
    found = look(noise(*size))

    assert all(0 <= value <= 100 for value in quality(found))
    assert found.dominant_colors


# The recognizer


def test_a_recognition_carries_properties_and_survives_its_json(recognizer: EmbeddedRecognizer) -> None:
    recognition = recognizer.recognize(jpeg_of(photograph("cat")))
    instances = [instance for label in recognition.labels for instance in label.instances]

    assert recognition.properties is not None
    assert recognition.properties.foreground is not None
    assert instances
    assert all(instance.dominant_colors for instance in instances)
    assert Recognition.from_json(recognition.to_json()) == recognition


def test_properties_can_be_turned_off(recognizer: EmbeddedRecognizer) -> None:
    content = jpeg_of(photograph("cat"))
    recognition = EmbeddedRecognizer.load(image_properties=False).recognize(content)

    assert recognition.properties is None
    assert not any(instance.dominant_colors for label in recognition.labels for instance in label.instances)
    assert recognition.model_version != recognizer.model_version
    assert [label.name for label in recognition.labels] == [
        label.name for label in recognizer.recognize(content).labels
    ]
