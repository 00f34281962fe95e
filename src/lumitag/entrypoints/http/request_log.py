"""One log line, one count and one request id a request, and the headers that every answer carries.

A line holds the template of the route, never the address itself: no query, no key, no name, no signature.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lumitag import telemetry
from lumitag.domain import new_key
from lumitag.entrypoints.http.http_errors import error_response
from lumitag.errors import InternalError
from lumitag.telemetry import Metrics

NO_CONTENT_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_CLIENT_LEFT: Final = 499
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": NO_CONTENT_POLICY,
    "Cache-Control": "no-store",
}


class RequestLog:
    """The outermost layer: whatever happens inside, the answer has its headers and the log has its line."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        answer = _Answer(send, request_id_of(Headers(scope=scope)))
        before = telemetry.request_id.set(answer.request_id)
        try:
            await self._app(scope, receive, answer.send)
        except Exception:  # The last one who can say anything: the log gets everything, the client no details.
            logging.getLogger("lumitag").exception("internal_error")
            if answer.status is not None:
                raise  # Half an answer is out already: only a broken connection says so.
            await error_response(InternalError())(scope, receive, answer.send)
        finally:
            self._write(scope, answer.status or _CLIENT_LEFT, time.perf_counter() - started)
            telemetry.request_id.reset(before)

    def _write(self, scope: Scope, status: int, seconds: float) -> None:
        route = _template(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        telemetry.log("http_request", method=method, route=route, code=status, duration_ms=round(seconds * 1000, 1))
        self._metrics.count("http_requests_total", route=route, method=method, code=str(status))
        self._metrics.observe("http_request_seconds", seconds, route=route)


class _Answer:
    """Passes an answer on, with its headers, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.request_id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def request_id_of(headers: Headers) -> str:
    """Return the id that the client gave the request, if it is harmless, else a new one."""
    for name in ("x-request-id", "traceparent"):
        given = headers.get(name, "")
        if _REQUEST_ID.fullmatch(given):
            return given
    return new_key()


def _template(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path", None) or "unmatched")
