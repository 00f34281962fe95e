"""Where a subscriber finds an image: on the page, and as a thumbnail."""

from __future__ import annotations

from collections.abc import Callable

BaseURL = str | Callable[[], str]
"""How others reach this server, or a function that knows it once the server listens on a port."""


def current(base_url: BaseURL) -> str:
    """Return how others reach this server now, without a slash at the end."""
    return (base_url if isinstance(base_url, str) else base_url()).rstrip("/")


def image_link(base_url: str, key: str) -> str:
    """Return the address of the image on the web page."""
    return f"{base_url}/#/images/{key}"


def thumbnail_link(base_url: str, key: str) -> str:
    """Return the address of the image's thumbnail."""
    return f"{base_url}/images/{key}/thumbnail"
