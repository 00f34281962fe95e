"""Cursors: opaque to readers, and each belongs to one kind of listing."""

from __future__ import annotations

import base64
import binascii

from lumitag.errors import InvalidCursor


def cursor_of(kind: str, *numbers: int) -> str:
    """Return the cursor of a listing that goes on after `numbers`."""
    text = ":".join([kind, *map(str, numbers)])
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=")


def numbers_of(kind: str, cursor: str, count: int) -> list[int]:
    """Return the `count` numbers in a cursor, each of 64 bits. Raises InvalidCursor."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        found_kind, *digits = text.split(":")
        numbers = [int(digit) for digit in digits]
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
    if found_kind != kind or len(numbers) != count or any(abs(number) >= 1 << 63 for number in numbers):
        raise InvalidCursor
    return numbers
