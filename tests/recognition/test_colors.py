"""What colours are called, against the names that people have given to colours."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor
from skimage.color import rgb2lab

from lumitag.domain import DominantColor
from lumitag.recognition.colors import (
    SIMPLIFIED_COLORS,
    css_color,
    css_colors,
    hex_code,
    simplified_color,
    to_oklab,
    with_color_names,
)

bytes_ = st.integers(0, 255)

# CSS's own names, then colours that have a name in daily life. Names that people quarrel about are left out.
SIMPLIFIED = {
    "black": "black #0a0a0a #141414 #28282a #0a0a1e",
    "white": "white whitesmoke snow ivory ghostwhite floralwhite seashell mintcream azure aliceblue linen oldlace "
    "beige antiquewhite #f5f3ee",
    "grey": "gray silver dimgrey darkgrey lightgrey gainsboro slategrey lightslategrey darkslategrey #959591 #36454f",
    "red": "red darkred firebrick crimson maroon tomato indianred #800020 #e0115f #c8102e",
    "orange": "orange darkorange coral orangered #ff7518 #ed9121",
    "yellow": "yellow gold khaki palegoldenrod lemonchiffon goldenrod #fff700 #cda434 #fffdd0",
    "green": "green lime forestgreen darkgreen limegreen seagreen olive olivedrab darkolivegreen springgreen palegreen "
    "lightgreen yellowgreen chartreuse #486f38 #142814",
    "cyan": "cyan turquoise teal darkcyan mediumturquoise darkturquoise paleturquoise lightseagreen aquamarine #004040",
    "blue": "blue navy darkblue mediumblue midnightblue royalblue steelblue skyblue lightskyblue deepskyblue "
    "dodgerblue cornflowerblue lightblue #155fbd #87b4dc",
    "purple": "purple indigo darkviolet blueviolet darkorchid mediumpurple rebeccapurple plum orchid thistle violet "
    "lavender #301440 #c8a2c8",
    "pink": "pink lightpink hotpink deeppink palevioletred mistyrose salmon #ff91a4 #e5b8a8",
    # The last are skin: from the darkest of the Fitzpatrick scale to a tanned one; and wood, sand, rust.
    "brown": "brown saddlebrown sienna chocolate peru tan burlywood #3d2014 #452a1e #8d5524 #c68642 #e0ac69 #855e42 "
    "#c2b280 #b7410e #3c2814",
}


@pytest.mark.parametrize(
    ("expected", "name"), [(color, name) for color, names in SIMPLIFIED.items() for name in names.split()]
)
def test_a_simplified_colour_is_what_people_say(expected: str, name: str) -> None:
    assert simplified_color(*ImageColor.getrgb(name)[:3]) == expected


@pytest.mark.parametrize(
    ("level", "expected"), [(0, "black"), (45, "black"), (60, "grey"), (215, "grey"), (225, "white")]
)
def test_greys_have_limits(level: int, expected: str) -> None:
    assert simplified_color(level, level, level) == expected


def test_every_colour_has_one_of_twelve_names() -> None:
    found = {simplified_color(r, g, b) for r in range(0, 256, 15) for g in range(0, 256, 15) for b in range(0, 256, 15)}

    assert found == set(SIMPLIFIED_COLORS)


def test_the_css_colours_are_those_of_css() -> None:
    known = {ImageColor.getrgb(name) for name in ImageColor.colormap if name != "rebeccapurple"}

    assert set(css_colors().values()) == known
    assert all(ImageColor.getrgb(name) == rgb for name, rgb in css_colors().items())
    assert {"gray", "darkslategrey", "dimgrey"} < set(css_colors())  # the spellings in Amazon's answers


@pytest.mark.parametrize("name", css_colors())
def test_a_css_colour_is_called_by_its_name(name: str) -> None:
    assert css_color(*css_colors()[name]) == name


@given(bytes_, bytes_, bytes_)
def test_a_colour_is_called_by_the_name_that_is_nearest(red: int, green: int, blue: int) -> None:
    """The distances are those of another library's CIELAB."""
    lab = rgb2lab(np.array(list(css_colors().values()))[None] / 255)[0]
    distances = np.linalg.norm(lab - rgb2lab(np.array([[[red, green, blue]]]) / 255)[0, 0], axis=1)
    chosen = list(css_colors()).index(css_color(red, green, blue))

    assert distances[chosen] == pytest.approx(distances.min(), abs=0.1)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [((255, 0, 0), (0.628, 0.225, 0.126)), ((0, 0, 255), (0.452, -0.032, -0.312)), ((255, 255, 255), (1, 0, 0))],
)
def test_oklab_is_that_of_its_author(rgb: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    assert math.dist(to_oklab(*rgb), expected) < 0.001


@given(bytes_, bytes_, bytes_)
def test_a_code_is_the_colour(red: int, green: int, blue: int) -> None:
    assert ImageColor.getrgb(hex_code(red, green, blue)) == (red, green, blue)


def test_every_colour_in_json_gets_its_names_and_nothing_else_changes() -> None:
    color = DominantColor(47, 79, 79, 39.4).to_json()
    value = {"key": "k", "labels": ["Dog"], "properties": {"dominantColors": [color], "foreground": None}}

    named = with_color_names(value)

    names = {"hexCode": "#2f4f4f", "cssColor": "darkslategrey", "simplifiedColor": "grey"}
    assert named == {**value, "properties": {"dominantColors": [{**color, **names}], "foreground": None}}
    assert with_color_names(color) == {**color, **names}
