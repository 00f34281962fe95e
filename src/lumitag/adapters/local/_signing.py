"""Upload URLs of the local platform: each is good for one request, for a while, for one image as it was announced."""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from lumitag.domain import ImageRecord, UploadGrant
from lumitag.errors import UploadExpired, UploadForbidden

_VERSION: Final = "lumitag-upload-1"
_METHOD: Final = "PUT"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The signed part of a request: `expires` and `signature` as they stand in the query, None when missing."""

    method: str
    key: str
    host: str
    expires: str | None
    signature: str | None


class UploadGrants:
    """Makes upload URLs and checks the requests that use them.

    Args:
        signing_key: at least 32 random bytes. Whoever has them can upload.
        lifetime: of a URL.
        clock: the present moment.
    """

    def __init__(self, signing_key: bytes, lifetime: timedelta, clock: Callable[[], datetime]) -> None:
        self._signing_key = signing_key
        self._lifetime = lifetime
        self._clock = clock

    def grant(self, record: ImageRecord, base_url: str) -> UploadGrant:
        """Return the permission to upload the bytes of `record` to the server at `base_url`."""
        expires_at = (self._clock() + self._lifetime).replace(microsecond=0)
        expires = str(int(expires_at.timestamp()))
        host = urlsplit(base_url).netloc
        request = SignedRequest(_METHOD, record.key, host, expires, None)
        signature = self._signature(request, record.size, record.content_type, record.sha256)
        return UploadGrant(
            key=record.key,
            upload_url=f"{base_url.rstrip('/')}/objects/{record.key}?expires={expires}&signature={signature}",
            method=_METHOD,
            headers={"Content-Type": record.content_type},
            fields={},
            expires_at=expires_at,
        )

    def check(self, request: SignedRequest, row: sqlite3.Row) -> None:
        """Raise UploadForbidden or UploadExpired unless the request was granted for the image that `row` describes."""
        if not any(self._is_signed(request, row, sha256) for sha256 in _announced_sha256(row)):
            raise UploadForbidden
        if self._clock().timestamp() >= int(request.expires or 0):
            raise UploadExpired

    def _is_signed(self, request: SignedRequest, row: sqlite3.Row, sha256: str | None) -> bool:
        signature = self._signature(request, row["size"], row["content_type"], sha256)
        # compare_digest: how long it takes must not tell how much of a guess is right.
        return hmac.compare_digest(signature.encode(), (request.signature or "").encode("utf-8", "replace"))

    def _signature(self, request: SignedRequest, size: int, content_type: str, sha256: str | None) -> str:
        addressed = [request.method, request.key, _usual(request.host), request.expires]
        bound = json.dumps([_VERSION, *addressed, size, content_type, sha256])  # JSON: no two grants are the same text
        return hmac.digest(self._signing_key, bound.encode(), "sha256").hex()


def _announced_sha256(row: sqlite3.Row) -> set[str | None]:
    """Return what may have been announced: once the bytes are there, their sha256 is known even if it was not."""
    return {row["sha256"], None} if row["upload_time"] is not None else {row["sha256"]}


def _usual(host: str) -> str:
    """Return a host without the port that clients leave out, in lower case."""
    return host.lower().removesuffix(":80").removesuffix(":443")
