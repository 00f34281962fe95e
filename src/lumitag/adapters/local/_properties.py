"""Image properties in the database: one compact text an image, which only those who ask for it unpack.

It is `[palette, whole, foreground, background, instances]`. The palette is each colour once, as a number (0xrrggbb);
colours are `[place in the palette, percent, ...]`; a region is `[brightness, sharpness, contrast, colours]` or null.
Instances are the colours of all instances of all labels, in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lumitag.domain import DominantColor, ImageProperties, Instance, Label, Quality, RegionProperties

Colors = tuple[DominantColor, ...]
Packed = list[Any]


def pack_properties(properties: ImageProperties | None, labels: tuple[Label, ...]) -> str | None:
    """Return the properties and the colours of the instances as a text; None where there are none."""
    instances = [instance.dominant_colors for label in labels for instance in label.instances]
    if properties is None and not any(instances):
        return None
    places: dict[int, int] = {}
    regions = [_pack_region(region, places) for region in _regions(properties)]
    packed = [_pack_colors(colors, places) for colors in instances]
    return json.dumps([list(places), *regions, packed], separators=(",", ":"))


def unpack_properties(
    packed: str | None, labels: tuple[Label, ...]
) -> tuple[ImageProperties | None, tuple[Label, ...]]:
    """Return what `pack_properties` packed: the properties, and the labels with the colours of their instances."""
    if packed is None:
        return None, labels
    palette, whole, foreground, background, instances = json.loads(packed)
    colors = (_unpack_colors(one, palette) for one in instances)
    properties = whole and ImageProperties(
        _quality(whole),
        _unpack_colors(whole[3], palette),
        _unpack_region(foreground, palette),
        _unpack_region(background, palette),
    )
    return properties, tuple(_with_colors(label, colors) if label.instances else label for label in labels)


def _regions(properties: ImageProperties | None) -> tuple[RegionProperties | None, ...]:
    if properties is None:
        return None, None, None
    whole = RegionProperties(properties.quality, properties.dominant_colors)
    return whole, properties.foreground, properties.background


def _pack_region(region: RegionProperties | None, places: dict[int, int]) -> Packed | None:
    if region is None:
        return None
    quality = region.quality
    colors = _pack_colors(region.dominant_colors, places)
    return [quality.brightness, quality.sharpness, quality.contrast, colors]


def _pack_colors(colors: Colors, places: dict[int, int]) -> Packed:
    packed: Packed = []
    for color in colors:
        number = color.red << 16 | color.green << 8 | color.blue
        packed += places.setdefault(number, len(places)), color.pixel_percent
    return packed


def _unpack_region(packed: Packed | None, palette: list[int]) -> RegionProperties | None:
    return None if packed is None else RegionProperties(_quality(packed), _unpack_colors(packed[3], palette))


def _quality(packed: Packed) -> Quality:
    brightness, sharpness, contrast, _ = packed
    return Quality(brightness, sharpness, contrast)


def _unpack_colors(packed: Packed, palette: list[int]) -> Colors:
    return tuple(_color(palette[place], percent) for place, percent in zip(packed[::2], packed[1::2], strict=True))


def _color(number: int, percent: float) -> DominantColor:
    return DominantColor(number >> 16, number >> 8 & 255, number & 255, percent)


def _with_colors(label: Label, colors: Iterator[Colors]) -> Label:
    """Return the label with the next colours for each of its instances."""
    return replace(label, instances=tuple(_colored(instance, next(colors)) for instance in label.instances))


def _colored(instance: Instance, colors: Colors) -> Instance:
    return replace(instance, dominant_colors=colors)
