"""The one secret of an installation, its token, and the sessions that follow from it.

A page cannot send a header with its images and its event stream, but a cookie goes with everything. The cookie
holds a time and its HMAC under the token, never the token itself, so there is nothing to store and nothing to steal
that outlives it.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from lumitag.settings import Settings

COOKIE: Final = "lumitag_session"
SESSION_S: Final = 30 * 24 * 3600


class Credentials:
    """Knows who may come in. Every comparison takes the same time whatever is compared."""

    def __init__(self, settings: Settings) -> None:
        self._token = settings.token.get_secret_value().encode() if settings.token else None

    @property
    def needed(self) -> bool:
        """Whether this server asks for a token at all."""
        return self._token is not None

    def admit(self, headers: Headers) -> bool:
        """Return whether a request may come in: by bearer token or by session cookie, or because none is needed."""
        if self._token is None:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.is_token(token.strip())
        cookies = cookie_parser("; ".join(headers.getlist("cookie")))
        return self.is_session(cookies.get(COOKIE, ""))

    def is_token(self, text: str) -> bool:
        """Return whether `text` is the token."""
        return self._token is not None and hmac.compare_digest(_bytes(text), self._token)

    def new_session(self) -> str:
        """Return the value of a new session cookie."""
        return self._signed(int(time.time()) + SESSION_S)

    def is_session(self, value: str) -> bool:
        """Return whether `value` is a session of this token that has not ended."""
        expiry = value.partition(".")[0]
        if self._token is None or not (expiry.isascii() and expiry.isdigit() and len(expiry) < 12):  # noqa: PLR2004
            return False
        return hmac.compare_digest(_bytes(value), self._signed(int(expiry)).encode()) and int(expiry) > time.time()

    def _signed(self, expiry: int) -> str:
        digest = hmac.new(self._token or b"", f"lumitag session until {expiry}".encode(), hashlib.sha256)
        return f"{expiry}.{digest.hexdigest()}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
