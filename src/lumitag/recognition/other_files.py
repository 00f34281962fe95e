"""What people upload instead of an image that can be read, told by its first bytes: so that they know what to do."""

from __future__ import annotations

import re
from typing import Final

_HEAD_BYTES: Final = 1024

# What the file begins with, and what people call it; the first that fits counts.
_KINDS: Final = (
    (rb"....ftyp.{0,60}avi[fs]", "an AVIF image"),
    (rb"....ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)", "a HEIC image"),
    (rb"....ftypcrx", "a raw camera image"),
    (rb"....(ftyp|moov|mdat|wide)|\x1aE\xdf\xa3|RIFF....AVI |FLV", "a video"),
    (rb"II\*\0\x10\0\0\0CR|FUJIFILMCCD-RAW|IIU\0", "a raw camera image"),
    (rb"II\*\0|MM\0\*|II\+\0|MM\0\+", "a TIFF image"),
    (rb"BM.{4}\0\0\0\0", "a BMP image"),
    (rb"8BPS", "a Photoshop file"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL image"),
    (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (rb"\0\0[\1\2]\0", "an icon"),
    (rb".{0,1000}%PDF-", "a PDF document"),
    (rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)", "a web page"),
    (rb"(\xef\xbb\xbf)?\s*<.{0,1000}?<?svg[\s>]", "an SVG drawing"),
    (rb"PK\x03\x04", "an archive or an office document"),
)
_PATTERNS: Final = tuple((re.compile(pattern, re.DOTALL | re.IGNORECASE), kind) for pattern, kind in _KINDS)


def kind_of_other_file(content: bytes) -> str | None:
    """Return what kind of file this is, such as `a HEIC image`; None if it is nothing that is known here."""
    head = content[:_HEAD_BYTES]
    return next((kind for pattern, kind in _PATTERNS if pattern.match(head)), None)
