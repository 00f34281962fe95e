"""What a webhook call says and how it is signed, as Standard Webhooks 1.0.0 describes it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from typing import Final

from lumitag.adapters.local._links import image_link, thumbnail_link
from lumitag.domain import Json, Subscription, time_to_json, visible_labels
from lumitag.events import NotificationDue

_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = 32
_KEY_BYTES_ALLOWED: Final = range(24, 65)  # by the specification
_TIMESTAMP: Final = re.compile(r"[0-9]{1,15}")


def payload(subscription: Subscription, notification: NotificationDue, base_url: str) -> bytes:
    """Return the JSON body of the call: the same bytes for every repetition of `notification`."""
    recognized_time = time_to_json(notification.image.recognized_time)
    content = {
        "type": "image.recognized",
        "id": notification.id,
        "timestamp": recognized_time,
        "data": _data(subscription, notification, base_url),
    }
    return json.dumps(content, separators=(",", ":")).encode("ascii")


def _data(subscription: Subscription, notification: NotificationDue, base_url: str) -> Json:
    image = notification.image
    labels = visible_labels(image.labels, subscription.min_confidence)
    return {
        "key": image.key,
        "fileName": image.file_name,
        "labels": [label.name for label in labels],
        "details": [label.to_json() for label in labels],
        "modelVersion": image.model_version,
        "recognizedTime": time_to_json(image.recognized_time),
        "url": image_link(base_url, image.key),
        "thumbnailUrl": thumbnail_link(base_url, image.key),
        "requestId": image.request_id,
    }


def new_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")


def sign(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return `v1,` and the base64 of the HMAC-SHA256 over `id.timestamp.body`.

    `timestamp` is in seconds since 1970. Raises ValueError if `secret` is not one that `new_secret` could have made.
    """
    content = f"{webhook_id}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: float, tolerance_s: float = 300.0) -> bool:
    """Return whether `body` was signed with `secret` at most `tolerance_s` seconds from `now`.

    For receivers. `headers` are those of the request, in upper or lower case; `body` its bytes before any parsing;
    `now` in seconds since 1970. Drop a call whose `webhook-id` you have seen. Raises ValueError for a bad `secret`.
    """
    found = {name.lower(): value for name, value in headers.items()}
    webhook_id, timestamp = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not webhook_id or not _TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > tolerance_s:
        return False
    expected = sign(secret, webhook_id, int(timestamp), body).encode("ascii")
    offered = found.get("webhook-signature", "").split(" ")  # several while a secret is being replaced
    return any(hmac.compare_digest(expected, signature.encode("utf-8", "replace")) for signature in offered)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("a webhook's secret is whsec_ and base64") from error
    if len(key) not in _KEY_BYTES_ALLOWED:
        raise ValueError("a webhook's secret has 24 to 64 bytes")
    return key
