"""What a colour is called: by its hexadecimal code, by CSS, and in one of Amazon Rekognition's 12 simplified colours.

Names depend on red, green and blue alone, so they are never stored. How alike two colours look is their distance in
CIELAB (ISO/CIE 11664-4), in which all that is nearly black is near black. What hue a colour has is an angle of Oklab,
whose hues stay the same when a colour gets lighter (Björn Ottosson, https://bottosson.github.io/posts/oklab/).
Only Python itself is needed here: who shows names does not load the recognizer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import mul
from typing import Any, Final

from lumitag.domain import Json

Point = tuple[float, float, float]
Rgb = tuple[int, int, int]
Matrix = tuple[tuple[float, float, float], ...]

SIMPLIFIED_COLORS: Final = (
    *("black", "blue", "brown", "cyan", "green", "grey"),
    *("orange", "pink", "purple", "red", "white", "yellow"),
)
"""The 12 names that Amazon Rekognition's questions and answers list."""

# Every colour of the CSS Color Module Level 3 once (https://www.w3.org/TR/css-color-3/#svg-color). Where CSS has two
# spellings this is the one in Amazon Rekognition's answers: gray alone, but dimgrey and darkslategrey.
_CSS_COLORS: Final = """
    aliceblue f0f8ff antiquewhite faebd7 aquamarine 7fffd4 azure f0ffff beige f5f5dc bisque ffe4c4 black 000000
    blanchedalmond ffebcd blue 0000ff blueviolet 8a2be2 brown a52a2a burlywood deb887 cadetblue 5f9ea0
    chartreuse 7fff00 chocolate d2691e coral ff7f50 cornflowerblue 6495ed cornsilk fff8dc crimson dc143c cyan 00ffff
    darkblue 00008b darkcyan 008b8b darkgoldenrod b8860b darkgreen 006400 darkgrey a9a9a9 darkkhaki bdb76b
    darkmagenta 8b008b darkolivegreen 556b2f darkorange ff8c00 darkorchid 9932cc darkred 8b0000 darksalmon e9967a
    darkseagreen 8fbc8f darkslateblue 483d8b darkslategrey 2f4f4f darkturquoise 00ced1 darkviolet 9400d3
    deeppink ff1493 deepskyblue 00bfff dimgrey 696969 dodgerblue 1e90ff firebrick b22222 floralwhite fffaf0
    forestgreen 228b22 gainsboro dcdcdc ghostwhite f8f8ff gold ffd700 goldenrod daa520 gray 808080 green 008000
    greenyellow adff2f honeydew f0fff0 hotpink ff69b4 indianred cd5c5c indigo 4b0082 ivory fffff0 khaki f0e68c
    lavender e6e6fa lavenderblush fff0f5 lawngreen 7cfc00 lemonchiffon fffacd lightblue add8e6 lightcoral f08080
    lightcyan e0ffff lightgoldenrodyellow fafad2 lightgreen 90ee90 lightgrey d3d3d3 lightpink ffb6c1
    lightsalmon ffa07a lightseagreen 20b2aa lightskyblue 87cefa lightslategrey 778899 lightsteelblue b0c4de
    lightyellow ffffe0 lime 00ff00 limegreen 32cd32 linen faf0e6 magenta ff00ff maroon 800000
    mediumaquamarine 66cdaa mediumblue 0000cd mediumorchid ba55d3 mediumpurple 9370db mediumseagreen 3cb371
    mediumslateblue 7b68ee mediumspringgreen 00fa9a mediumturquoise 48d1cc mediumvioletred c71585
    midnightblue 191970 mintcream f5fffa mistyrose ffe4e1 moccasin ffe4b5 navajowhite ffdead navy 000080
    oldlace fdf5e6 olive 808000 olivedrab 6b8e23 orange ffa500 orangered ff4500 orchid da70d6 palegoldenrod eee8aa
    palegreen 98fb98 paleturquoise afeeee palevioletred db7093 papayawhip ffefd5 peachpuff ffdab9 peru cd853f
    pink ffc0cb plum dda0dd powderblue b0e0e6 purple 800080 red ff0000 rosybrown bc8f8f royalblue 4169e1
    saddlebrown 8b4513 salmon fa8072 sandybrown f4a460 seagreen 2e8b57 seashell fff5ee sienna a0522d silver c0c0c0
    skyblue 87ceeb slateblue 6a5acd slategrey 708090 snow fffafa springgreen 00ff7f steelblue 4682b4 tan d2b48c
    teal 008080 thistle d8bfd8 tomato ff6347 turquoise 40e0d0 violet ee82ee wheat f5deb3 white ffffff
    whitesmoke f5f5f5 yellow ffff00 yellowgreen 9acd32
"""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A part of Oklab that has one simplified colour: from the first number of each pair up to the second."""

    color: str
    hue: tuple[float, float] = (-22, 338)
    lightness: tuple[float, float] = (0, 1.01)
    chroma: tuple[float, float] = (0, 1)

    def covers(self, hue: float, lightness: float, chroma: float) -> bool:
        """Return whether a colour lies in this part. `hue` in degrees from -22 on, where purple ends."""
        pairs = (self.hue, hue), (self.lightness, lightness), (self.chroma, chroma)
        return all(first <= value < end for (first, end), value in pairs)


# The first rule that covers a colour names it: first the greys, then what lightness makes of a hue (a dark orange is
# brown, a light red pink, a dark yellow green), then the hues. The numbers were set by hand until the colours that
# have names had the names that people give them; tests/recognition/test_colors.py lists them.
_RULES: Final = (
    _Rule("black", lightness=(0, 0.22)),
    _Rule("black", lightness=(0, 0.32), chroma=(0, 0.04)),
    _Rule("white", hue=(45, 98), lightness=(0.9, 1.01), chroma=(0, 0.055)),  # creams
    _Rule("white", hue=(98, 116), lightness=(0.9, 1.01), chroma=(0, 0.036)),
    _Rule("white", lightness=(0.9, 1.01), chroma=(0, 0.026)),
    _Rule("grey", lightness=(0, 0.9), chroma=(0, 0.04)),
    _Rule("purple", hue=(-22, 5), lightness=(0, 0.5)),
    _Rule("pink", hue=(-22, 5)),
    _Rule("pink", hue=(5, 33), lightness=(0.65, 1.01), chroma=(0, 0.17)),
    _Rule("brown", hue=(18, 33), lightness=(0.45, 0.55), chroma=(0, 0.165)),
    _Rule("brown", hue=(18, 33), lightness=(0, 0.45), chroma=(0, 0.1)),
    _Rule("red", hue=(5, 33)),
    _Rule("pink", hue=(33, 45), lightness=(0.7, 1.01), chroma=(0, 0.12)),
    _Rule("brown", hue=(33, 100), lightness=(0, 0.7), chroma=(0, 0.17)),
    _Rule("brown", hue=(33, 100), lightness=(0, 0.85), chroma=(0, 0.12)),  # tan
    _Rule("orange", hue=(33, 80)),
    _Rule("green", hue=(80, 116), lightness=(0, 0.65)),  # olive
    _Rule("yellow", hue=(80, 116)),
    _Rule("green", hue=(116, 165)),
    _Rule("cyan", hue=(165, 210)),
    _Rule("blue", hue=(210, 280)),
    _Rule("purple", hue=(280, 338)),
)
TO_XYZ: Final = (
    (0.4339499, 0.3762098, 0.1898403),
    (0.2126729, 0.7151522, 0.0721749),
    (0.0177566, 0.1094680, 0.8727754),
)
"""From the light of red, green and blue to X, Y and Z (IEC 61966-2-1), as parts of white's."""

LINEAR_RESPONSE_BELOW: Final = 216 / 24389
"""CIELAB takes the cube root of X, Y and Z; below this a straight line, `t * 841 / 108 + 4 / 29`."""

_TO_CONES: Final = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_OKLAB: Final = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_FIRST_HUE: Final = -22  # where purple ends and pink begins
_LINEAR_BELOW: Final = 0.04045


@cache
def css_colors() -> dict[str, Rgb]:
    """Return the 138 colours of CSS by name."""
    words = _CSS_COLORS.split()
    return {name: _rgb(code) for name, code in zip(words[::2], words[1::2], strict=True)}


def hex_code(red: int, green: int, blue: int) -> str:
    """Return the code of an sRGB colour, such as `#2f4f4f`."""
    return f"#{red:02x}{green:02x}{blue:02x}"


@lru_cache(maxsize=4096)  # the regions of one picture share their colours
def css_color(red: int, green: int, blue: int) -> str:
    """Return the name of the CSS colour that looks most like this sRGB colour, such as `darkslategrey`."""
    color = to_lab(red, green, blue)
    return min(_lab_css_colors(), key=lambda named: math.dist(color, named[0]))[1]


@lru_cache(maxsize=4096)
def simplified_color(red: int, green: int, blue: int) -> str:
    """Return which of `SIMPLIFIED_COLORS` people would call this sRGB colour."""
    lightness, a, b = to_oklab(red, green, blue)
    hue = (math.degrees(math.atan2(b, a)) - _FIRST_HUE) % 360 + _FIRST_HUE
    return next(rule.color for rule in _RULES if rule.covers(hue, lightness, math.hypot(a, b)))


def to_lab(red: int, green: int, blue: int) -> Point:
    """Return CIELAB of an sRGB colour: L* (0 to 100), a* and b*, under D65."""
    x, y, z = (_response(light) for light in _product(TO_XYZ, [linear(red), linear(green), linear(blue)]))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def to_oklab(red: int, green: int, blue: int) -> Point:
    """Return lightness (0 to 1), green-red and blue-yellow of an sRGB colour."""
    cones = [math.cbrt(cone) for cone in _product(_TO_CONES, [linear(red), linear(green), linear(blue)])]
    lightness, green_red, blue_yellow = _product(_TO_OKLAB, cones)
    return lightness, green_red, blue_yellow


def linear(value: int) -> float:
    """Return the light of one channel, 0 to 1, that sRGB (IEC 61966-2-1) encodes as 0 to 255."""
    level = value / 255
    return level / 12.92 if level <= _LINEAR_BELOW else ((level + 0.055) / 1.055) ** 2.4


def with_color_names(value: Json) -> Json:
    """Return JSON of the domain with every dominant colour in it named: what clients are shown."""
    if "pixelPercent" in value:
        return _named_color(value)
    return {key: _named(part) for key, part in value.items()}


def _named(value: Any) -> Any:  # noqa: ANN401 - any part of JSON
    if isinstance(value, list):
        return [_named(part) for part in value]
    return with_color_names(value) if isinstance(value, dict) else value


def _named_color(color: Json) -> Json:
    rgb = color["red"], color["green"], color["blue"]
    names = {"hexCode": hex_code(*rgb), "cssColor": css_color(*rgb), "simplifiedColor": simplified_color(*rgb)}
    return {**color, **names}


@cache
def _lab_css_colors() -> list[tuple[Point, str]]:
    return [(to_lab(*rgb), name) for name, rgb in css_colors().items()]


def _rgb(code: str) -> Rgb:
    red, green, blue = bytes.fromhex(code)
    return red, green, blue


def _response(light: float) -> float:
    return math.cbrt(light) if light > LINEAR_RESPONSE_BELOW else light * 841 / 108 + 4 / 29


def _product(matrix: Matrix, vector: list[float]) -> list[float]:
    return [sum(map(mul, row, vector)) for row in matrix]
