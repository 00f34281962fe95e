"""How a picture looks: dominant colours and quality of the whole, of what is in front and behind, and of instances.

The counterpart of Amazon Rekognition's Image Properties; docs/models.md says how each figure is computed.
All figures come from one small copy of the picture, so they depend neither on its size nor on how it was decoded.
Nothing is drawn by chance and nothing iterates: each sample is counted where it falls.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumitag.domain import BoundingBox, DominantColor, ImageProperties, Label, Quality, RegionProperties
from lumitag.recognition.colors import LINEAR_RESPONSE_BELOW, TO_XYZ, Rgb, css_colors, linear
from lumitag.recognition.decode import BILINEAR, Picture, Pixels

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Palette = list[Rgb]

COPY_SIDE: Final = 300
"""Pixels of a side of the copy that everything is measured on: the detector's, which is there already."""

MAX_COLORS: Final = 20
"""At most this many dominant colours a region: as many as Amazon Rekognition can be asked for."""

_STEP: Final = 3  # Every third pixel of every third row is a sample of colour.
_SAMPLES: Final = COPY_SIDE // _STEP
_MIN_TENTHS: Final = 20  # of a percent of the samples; what is rarer dominates nothing
_LUMINANCES: Final = 4096
_SURE_PERCENT: Final = 50.0  # an instance this sure is something in front
_FRAME: Final = 10  # samples; how wide the border is that shows what is behind
_IN_FRONT: Final = 2.0  # a colour is in front if it is this many times as frequent inside as on the border
_MIN_IN_FRONT: Final = _SAMPLES**2 // 100

_CELL_BITS: Final = 3  # Colours are looked up without their last 3 bits.
_LEVELS: Final = 256 >> _CELL_BITS
_SAME: Final = 2.0  # Two colours that are this near in CIELAB are hardly told apart.

_NOISE: Final = np.uint8(2)  # steps of luma up to this are rounding and compression
_REACH: Final = 9  # pixels: how far Crete's filter smears an edge
_IDEAL_EDGE: Final = 1 - 1 / 9  # what of an edge one pixel wide is lost when it is smeared
_LUMA_SIDE: Final = 150  # Half the copy: what is finer depends on who made the picture smaller.
_BLOCKS: Final = _LUMA_SIDE // _STEP
_UNMEASURED: Final = 2  # blocks at each end of a row, for the filter's sake


def describe(picture: Picture, labels: tuple[Label, ...]) -> tuple[ImageProperties, tuple[Label, ...]]:
    """Return how a picture looks, and its labels with the colours of their instances."""
    look = _Look.of(picture.squeezed(COPY_SIDE, BILINEAR))
    whole = look.region(np.ones_like(look.colors, bool))
    front = _in_front(look.colors, labels)
    properties = ImageProperties(
        quality=replace(whole.quality, contrast=look.contrast),
        dominant_colors=whole.dominant_colors,
        foreground=look.region(front) if front.any() else None,
        background=look.region(~front) if not front.all() else None,
    )
    return properties, tuple(_with_colors(label, look) if label.instances else label for label in labels)


@dataclass(frozen=True)
class _Look:
    """What is measured of a picture, sample by sample.

    Attributes:
        palette: k colours of the picture, RGB, 0 to 255.
        colors: (100, 100): which colour of the palette each sample has.
        lightness: (100, 100): CIE L*, 0 to 100.
        edges: (50, 50): how steep the steps of luma around every fourth sample are, all together.
        sharp_edges: likewise: how much less steep they would be if they were smeared.
    """

    palette: Palette
    colors: Integers
    lightness: Floats
    edges: Integers
    sharp_edges: Integers

    @classmethod
    def of(cls, copy: Pixels) -> _Look:
        """Measure a picture: (300, 300, 3), RGB, 0 to 255."""
        samples = copy[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP]  # Means would mix colours that meet at an edge.
        palette, colors = _find_colors(samples)
        luma = Image.fromarray(copy).convert("L").reduce(COPY_SIDE // _LUMA_SIDE)
        edges, sharp_edges = _find_edges(np.asarray(luma))
        return cls(palette, colors, _lightness(samples), edges, sharp_edges)

    @property
    def contrast(self) -> float:
        """Root mean square contrast of L* (Peli 1990, doi:10.1364/JOSAA.7.002032); half black, half white is 100."""
        return _percent(2 * float(self.lightness.std()))

    def region(self, mask: Mask) -> RegionProperties:
        """Return how the samples where `mask` (100, 100) is true look; it must be true somewhere."""
        blocks = mask.reshape(_BLOCKS, 2, _BLOCKS, 2).any(axis=(1, 3))
        edges, sharp_edges = int(self.edges[blocks].sum()), int(self.sharp_edges[blocks].sum())
        sharpness = 100 * sharp_edges / (edges * _IDEAL_EDGE) if edges else 0.0
        quality = Quality(_percent(float(self.lightness[mask].mean())), _percent(sharpness))
        return RegionProperties(quality, self.dominant_colors(self.colors[mask]))

    def dominant_colors(self, colors: Integers) -> tuple[DominantColor, ...]:
        """Return the colours of some samples, most frequent first. Percents are rounded down to tenths."""
        counts = np.bincount(colors, minlength=len(self.palette))
        most: list[int] = np.argsort(-counts, kind="stable")[:MAX_COLORS].tolist()
        tenths: list[int] = (counts * 1000 // len(colors)).tolist()
        return tuple(
            DominantColor(*self.palette[color], tenths[color] / 10) for color in most if tenths[color] >= _MIN_TENTHS
        )


def _find_colors(samples: Pixels) -> tuple[Palette, Integers]:
    """Return the palette of a picture and which colour of it each sample, (100, 100, 3), has.

    Each sample goes to the CSS colour that looks most like it, as in Amazon Rekognition, so that a little noise moves
    few of them; a colour of the palette is the mean of what went to one CSS colour.
    """
    red, green, blue = np.moveaxis(samples.astype(np.int64) >> _CELL_BITS, 2, 0)
    names = _nearest_css_colors()[(red * _LEVELS + green) * _LEVELS + blue]
    colors = (np.cumsum(np.bincount(names.ravel()) > 0) - 1)[names]
    counts = np.bincount(colors.ravel())
    sums = np.stack([np.bincount(colors.ravel(), samples[..., channel].ravel()) for channel in range(3)], axis=1)
    twins = _twins(_means(sums, counts), counts)
    joined = np.equal.outer(np.arange(len(counts)), twins)
    palette = _means(joined @ sums, np.maximum(joined @ counts, 1))
    return [(red, green, blue) for red, green, blue in palette.tolist()], twins[colors]


def _means(sums: NDArray[Any], counts: Integers) -> Integers:
    return np.rint(sums / counts[:, None]).astype(np.int64)


def _twins(colors: Integers, counts: Integers) -> Integers:
    """Return for each colour, (k, 3), the most frequent one that hardly differs from it, mostly itself: (k,).

    A plain wall whose colour lies between two names is one colour, not two.
    """
    order = np.argsort(-counts, kind="stable")
    lab = _lab(colors[order])
    near = np.square(lab[:, None] - lab[None]).sum(axis=2) < _SAME**2
    kept = np.ones(len(order), bool)
    for index in np.flatnonzero(np.triu(near, 1).any(axis=1)):
        if kept[index]:
            kept[index + 1 :] &= ~near[index, index + 1 :]
    twins = np.empty_like(order)
    twins[order] = order[np.argmax(near & kept, axis=1)]
    return twins


def _find_edges(luma: Pixels) -> tuple[Integers, Integers]:
    """Return how steep luma (150, 150) is in each block of 3 x 3, and how much of that smearing takes away: (50, 50).

    Crete and others 2007, "The blur effect", doi:10.1117/12.702790: a sharp edge suffers from a mean over 9 pixels,
    a blurred one hardly changes.
    """
    across, down = _edges_across(luma), _edges_across(np.ascontiguousarray(luma.T))
    edges, sharp_edges = np.zeros((2, _BLOCKS, _BLOCKS), np.int64)
    for total, one, other in zip((edges, sharp_edges), across, down, strict=True):
        total[:, _UNMEASURED:-_UNMEASURED] += one
        total[_UNMEASURED:-_UNMEASURED] += other.T
    return edges, sharp_edges


def _edges_across(luma: Pixels) -> tuple[Integers, Integers]:
    """Return the same of steps from left to right only: (50, 46), for blocks far enough from left and right.

    The step between two neighbouring means over 9 pixels is a ninth of the step between the pixels at both their ends.
    """
    first, end, half = _UNMEASURED * _STEP, _LUMA_SIDE - _UNMEASURED * _STEP, _REACH // 2
    steps = _differences(luma[:, first:end], luma[:, first + 1 : end + 1])
    steps = np.maximum(steps, _NOISE) - _NOISE
    smeared = _differences(luma[:, first - half : end - half], luma[:, first + half + 1 : end + half + 1]) // _REACH
    return _sums(steps), _sums(np.maximum(steps, smeared) - smeared)


def _differences(one: Pixels, other: Pixels) -> Pixels:
    """Return how far two arrays of bytes are apart, in bytes: eight times as fast as in floats."""
    return np.maximum(one, other) - np.minimum(one, other)


def _sums(values: Pixels) -> Integers:
    """Return (50, 46) of (150, 138): each pixel and its eight neighbours together."""
    rows = values.reshape(_BLOCKS, _STEP, -1).sum(axis=1, dtype=np.uint16)
    return np.asarray(rows[:, 0::_STEP] + rows[:, 1::_STEP] + rows[:, 2::_STEP])


def _in_front(colors: Integers, labels: tuple[Label, ...]) -> Mask:
    """Return which samples, (100, 100), show what is in front: the boxes of sure instances, else what stands out."""
    sure = [one for label in labels for one in label.instances if one.confidence >= _SURE_PERCENT]
    if not sure:
        return _standing_out(colors)
    front = np.zeros_like(colors, bool)
    for instance in sure:
        front[_inside(instance.bounding_box)] = True
    return front


def _standing_out(colors: Integers) -> Mask:
    """Return which samples have a colour that is frequent inside the picture and rare along its border."""
    inside = np.zeros_like(colors, bool)
    inside[_FRAME:-_FRAME, _FRAME:-_FRAME] = True
    size = colors.max() + 1
    within, along = np.bincount(colors[inside], minlength=size), np.bincount(colors[~inside], minlength=size)
    stands_out = within / inside.sum() > _IN_FRONT * along / (~inside).sum()
    front = stands_out[colors] & inside
    return front if front.sum() >= _MIN_IN_FRONT else np.zeros_like(front)


def _with_colors(label: Label, look: _Look) -> Label:
    instances = (
        replace(one, dominant_colors=look.dominant_colors(look.colors[_inside(one.bounding_box)].ravel()))
        for one in label.instances
    )
    return replace(label, instances=tuple(instances))


def _inside(box: BoundingBox) -> tuple[slice, slice]:
    """Return the rows and columns of the samples in a box, at least one of each."""
    return _span(box.top, box.height), _span(box.left, box.width)


def _span(start: float, length: float) -> slice:
    first = min(round(start * _SAMPLES), _SAMPLES - 1)
    return slice(first, max(round((start + length) * _SAMPLES), first + 1))


def _lightness(samples: Pixels) -> Floats:
    """Return CIE L*, 0 to 100, of RGB samples (100, 100, 3)."""
    red, green, blue = np.moveaxis(samples, 2, 0)
    light = _light()
    red_part, green_part, blue_part = TO_XYZ[1]
    luminance = red_part * light[red] + green_part * light[green] + blue_part * light[blue]
    return np.asarray(_lightness_of_luminance()[(luminance * (_LUMINANCES - 1) + 0.5).astype(np.int64)])


@cache
def _lightness_of_luminance() -> Floats:
    """Return CIE L* of luminances from 0 to 1, because computing it costs more than looking it up."""
    return np.asarray(116 * _response(np.linspace(0, 1, _LUMINANCES, dtype=np.float32)) - 16)


@cache
def _nearest_css_colors() -> Integers:
    """Return (32768,): the position among CSS's colours of the one that looks most like each cell of RGB."""
    levels = (np.arange(_LEVELS) << _CELL_BITS) + (1 << _CELL_BITS >> 1)
    cells = _lab(np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3))
    names = _lab(np.array(list(css_colors().values())))
    return np.asarray(np.argmin(np.square(names).sum(axis=1) - 2 * cells @ names.T, axis=1))


def _lab(colors: Integers) -> Floats:
    """Return CIELAB, (n, 3), of RGB, (n, 3), 0 to 255."""
    x, y, z = _response(_light()[colors] @ np.array(TO_XYZ, np.float32).T).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _response(light: Floats) -> Floats:
    return np.where(light > LINEAR_RESPONSE_BELOW, np.cbrt(light), light * np.float32(841 / 108) + np.float32(4 / 29))


@cache
def _light() -> Floats:
    return np.array([linear(value) for value in range(256)], np.float32)


def _percent(value: float) -> float:
    """Return 0 to 100 to tenths: no figure here is truer than that."""
    return round(min(value, 100.0), 1)
