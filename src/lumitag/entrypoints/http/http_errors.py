"""What every error is over HTTP: one table from error class to status, and one shape of answer.

An error that the table does not name has the status of the nearest class above it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from lumitag import errors, telemetry

STATUS: Final[Mapping[type[errors.LumitagError], int]] = {
    errors.InvalidRequest: 400,
    errors.UnsupportedBody: 415,
    errors.BodyTooLarge: 413,
    errors.BodyTooSlow: 408,
    errors.Unauthorized: 401,
    errors.ForbiddenOrigin: 403,
    errors.WrongHost: 421,
    errors.TooManyRequests: 429,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.UploadRefused: 400,
    errors.LengthRequired: 411,
    errors.ContentEncodingRefused: 415,
    errors.UploadTooSlow: 408,
    errors.UploadForbidden: 403,
    errors.UploadExpired: 403,
    errors.UploadTooLarge: 413,
    errors.UploadMismatch: 400,
    errors.UnsupportedImageType: 415,
    errors.AlreadyUploaded: 409,
    errors.UnreadableImage: 422,
    errors.RecognitionFailed: 503,
    errors.StoreError: 500,
    errors.StoreFull: 507,
    errors.StoreUnavailable: 503,
    errors.StoreInUse: 503,
    errors.TooManyListeners: 503,
    errors.LumitagError: 500,
}

_RETRY_AFTER_S: Final = {429: 5, 503: 5, 507: 60}
_CONTENT_LENGTH: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_LINGER_BYTES: Final = 16 << 20
_LINGER_S: Final = 5.0


def status_of(error: type[errors.LumitagError]) -> int:
    """Return the status of an error: its own in the table, or that of the nearest class above."""
    return next(STATUS[ancestor] for ancestor in error.__mro__ if ancestor in STATUS)


def error_response(error: errors.LumitagError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the answer that tells a client what happened and what to do."""
    status = status_of(type(error))
    if status >= 500:  # noqa: PLR2004 - where the server's own errors begin
        telemetry.log("request_failed", "warning", error=error.code)
    content = {"error": error.code, "message": error.message, "requestId": telemetry.request_id.get()}
    return JSONResponse(content, status, {**_error_headers(status), **(headers or {})})


class Incoming:
    """What is received from a client, and whether its body has ended: after that nobody may ask for more of it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def __call__(self) -> Message:
        """Return the next message, and note whether it was the last."""
        message = await self._receive()
        self.ended = not message.get("more_body")
        return message


async def refuse(error: errors.LumitagError, scope: Scope, incoming: Incoming, send: Send) -> None:
    """Answer a request whose body was not read to its end, and end the connection after it.

    Closing at once would reset the connection under a client that still sends, before it has read the answer:
    so the answer goes first, and some of the rest is thrown away while the client reads it.
    """
    if incoming.ended or not has_body(Headers(scope=scope)):
        await error_response(error)(scope, incoming, send)
        return
    response = error_response(error, {"Connection": "close"})
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    await _throw_away(incoming)
    await send({"type": "http.response.body", "body": b""})


def has_body(headers: Headers) -> bool:
    """Return whether a request announces a body."""
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def content_length(headers: Headers) -> int | None:
    """Return the size of the body that a request announces, in bytes. Raises InvalidRequest."""
    text = headers.get("content-length")
    if text is None:
        return None
    if _CONTENT_LENGTH.fullmatch(text) is None:
        raise errors.InvalidRequest("The Content-Length header must be a number of bytes.")
    return int(text)


async def _throw_away(incoming: Incoming) -> None:
    left = _LINGER_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            while left > 0 and not incoming.ended:
                left -= len((await incoming()).get("body", b""))


def _error_headers(status: int) -> dict[str, str]:
    if status in _RETRY_AFTER_S:
        return {"Retry-After": str(_RETRY_AFTER_S[status])}
    return {"WWW-Authenticate": 'Bearer realm="lumitag"'} if status == 401 else {}  # noqa: PLR2004 - by RFC 9110
