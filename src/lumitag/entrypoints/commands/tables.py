"""Text in columns for people. Nothing in it can steer the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from rich.cells import cell_len

from lumitag.domain import Json

_GAP: Final = "  "
_CONTROL: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def table_lines(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a line of headings and one line a row; every column as wide as its widest cell."""
    cells = [[printable(cell) for cell in row] for row in chain([headings], rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield _GAP.join(map(padded, row, widths)).rstrip() + "\n"


def padded(text: str, width: int) -> str:
    """Return `text` with spaces behind it, `width` cells of the terminal wide or wider."""
    return text + " " * (width - cell_len(text))


def printable(text: str) -> str:
    """Return `text` with a mark in place of everything that a terminal would obey instead of show."""
    return "".join("\ufffd" if unicodedata.category(character) in _CONTROL else character for character in text)


def label_summary(labels: Sequence[Json]) -> str:
    """Return the labels in one line: `Cat 97, Animal 96`."""
    return ", ".join(f"{label['name']} {label['confidence']:.0f}" for label in labels)
