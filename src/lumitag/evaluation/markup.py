"""HTML and SVG in which text is always text: whatever is not `Markup` is escaped."""

from __future__ import annotations

import html
import unicodedata
from typing import Final

_CONTROL: Final = frozenset({"Cc", "Cf", "Cs", "Co"})  # they could turn the direction of a line, or end the document


class Markup(str):
    """A text that is HTML already; made by `element` and by nothing else."""

    __slots__ = ()


def element(tag: str, *children: str | Markup, **attributes: str | float) -> Markup:
    """Return one element. An underscore behind the name of an attribute is dropped, others become hyphens."""
    opening = "".join(f' {_attribute(name)}="{escaped(str(value))}"' for name, value in attributes.items())
    return Markup(f"<{tag}{opening}>{joined(*children)}</{tag}>")


def joined(*children: str | Markup) -> Markup:
    """Return the children side by side, each escaped unless it is `Markup`."""
    return Markup("".join(child if isinstance(child, Markup) else escaped(child) for child in children))


def image(source: str, description: str) -> Markup:
    """Return a picture; `source` is a data URL."""
    return Markup(f'<img src="{escaped(source)}" alt="{escaped(description)}">')


def escaped(text: str) -> str:
    """Return `text` so that it stands for itself in HTML, with a mark in place of every control character."""
    return html.escape("".join("\ufffd" if unicodedata.category(sign) in _CONTROL else sign for sign in text))


def _attribute(name: str) -> str:
    return name.removesuffix("_").replace("_", "-")
