"""What stands in a JPEG before its pixels: a few hundred bytes that need no decoder (ITU-T T.81, annex B)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

APP1: Final = 0xE1

_MARKER: Final = 0xFF
_START_OF_SCAN: Final = 0xDA
# How the pixels are coded. Libraries know the first of these if there are 8 bits a colour.
_KNOWN_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_OTHER_FRAMES: Final = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF})
_RARE_BITS: Final = frozenset({12, 16})


def segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and payload of each segment up to the first scan; stop where the file makes no sense."""
    position = 2
    while position + 4 <= len(content) and content[position] == _MARKER:
        marker, length = content[position + 1], int.from_bytes(content[position + 2 : position + 4], "big")
        if marker == _START_OF_SCAN:
            return
        yield marker, content[position + 4 : position + 2 + length]
        position += 2 + max(length, 2)  # a length below 2 is not valid; this still moves on


def rare_coding(content: bytes) -> str | None:
    """Return in words how the pixels of a JPEG are coded, if in a way that hardly any program reads, else None."""
    for marker, payload in segments(content):
        if marker in _OTHER_FRAMES:
            return "lossless or hierarchical coding"
        if marker in _KNOWN_FRAMES and payload and payload[0] in _RARE_BITS:
            return f"{payload[0]} bits a colour"
    return None
