"""Who may come in: asked before anything else looks at a request.

The order of the questions: is it for us (Host)? does one of our own pages or a program ask (Origin)?
who asks (token or session)? and is what it brings of a kind and size that we take?
`DOORS` says what each address asks for; whatever it does not name is behind the last door, which asks for everything.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lumitag.entrypoints.http.credentials import Credentials
from lumitag.entrypoints.http.http_errors import Incoming, content_length, has_body, refuse
from lumitag.entrypoints.http.own_hosts import OwnHosts, is_well_formed
from lumitag.errors import (
    BodyTooLarge,
    BodyTooSlow,
    ForbiddenOrigin,
    InvalidRequest,
    LumitagError,
    Unauthorized,
    UnsupportedBody,
    WrongHost,
)
from lumitag.settings import Settings

MAX_BODY_BYTES: Final = 64 * 1024
_BODY_S: Final = 20.0
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Door:
    """What is asked of the requests to one address.

    Attributes:
        path: the address; `/name/*` is everything below `/name/`.
        methods: the methods it is for; empty means all.
        needs_token: whether a token or a session is needed, when the server has a token.
        is_page: whether another site may link to it.
        content_types: what a body that changes something may be; empty means anything.
        max_body_bytes: the largest body, read before the request goes on; None: whoever answers reads it himself.
    """

    path: str
    methods: frozenset[str] = frozenset()
    needs_token: bool = True
    is_page: bool = False
    content_types: tuple[str, ...] = ("application/json",)
    max_body_bytes: int | None = MAX_BODY_BYTES

    def leads_to(self, method: str, path: str) -> bool:
        """Return whether a request comes to this door."""
        if self.methods and method not in self.methods:
            return False
        return path.startswith(self.path[:-1]) if self.path.endswith("/*") else path == self.path


DOORS: Final = (
    Door("/", frozenset({"GET", "HEAD"}), needs_token=False, is_page=True),
    Door("/website/*", frozenset({"GET", "HEAD"}), needs_token=False, is_page=True),
    Door("/docs", frozenset({"GET", "HEAD"}), is_page=True),
    Door("/healthz", frozenset({"GET", "HEAD"}), needs_token=False),
    Door("/session", needs_token=False),
    # The signature in the address is the permission, and the image is read by the one who stores it.
    Door("/objects/*", frozenset({"PUT"}), needs_token=False, content_types=(), max_body_bytes=None),
)
_LAST_DOOR: Final = Door("/*")


class Guard:
    """Lets a request through to `app`, or refuses it."""

    def __init__(self, app: ASGIApp, settings: Settings, doors: tuple[Door, ...] = DOORS) -> None:
        self._app = app
        self._hosts = OwnHosts(settings)
        self._credentials = Credentials(settings)
        self._public_origin = {settings.public_url.lower()} if settings.public_url else set()
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        incoming = Incoming(receive)
        try:
            door = self._admit(scope)
            received = await _received(door, scope, incoming)
        except LumitagError as error:
            await refuse(error, scope, incoming, send)
            return
        await self._app(scope, received, send)

    def _admit(self, scope: Scope) -> Door:
        headers = Headers(scope=scope)
        door = self._door(scope)
        host = self._check_host(scope, headers)
        self._check_origin(scope, headers, host, door)
        if door.needs_token and not self._credentials.admit(headers):
            raise Unauthorized
        _check_content(door, scope["method"], headers)
        return door

    def _door(self, scope: Scope) -> Door:
        found = (door for door in self._doors if door.leads_to(scope["method"], scope["path"]))
        return next(found, _LAST_DOOR)

    def _check_host(self, scope: Scope, headers: Headers) -> str:
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or not is_well_formed(hosts[0]):
            raise InvalidRequest("A request must have exactly one Host header: the name of this server and its port.")
        port = (scope.get("server") or (None, None))[1]
        if not self._hosts.owns(hosts[0], port, scope.get("scheme", "http")):
            raise WrongHost
        return hosts[0]

    def _check_origin(self, scope: Scope, headers: Headers, host: str, door: Door) -> None:
        own = {f"http://{host}", f"https://{host}"} | self._public_origin
        if any(origin.lower() not in own for origin in headers.getlist("origin")):
            raise ForbiddenOrigin
        # Another port of the same machine is the same "site" to a browser, but somebody else to us.
        foreign = headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}
        if foreign and not (door.is_page and _is_visit(scope, headers)):
            raise ForbiddenOrigin


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Return whether somebody follows a link, rather than a page fetching or embedding something."""
    return (
        scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _check_content(door: Door, method: str, headers: Headers) -> None:
    if door.content_types and _changes_something(method, headers):
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in door.content_types:
            raise UnsupportedBody
    if door.max_body_bytes is not None and (content_length(headers) or 0) > door.max_body_bytes:
        raise BodyTooLarge


def _changes_something(method: str, headers: Headers) -> bool:
    # A DELETE without a body needs no type: no form and no simple request of another site can make one.
    return method not in _SAFE_METHODS and (method != "DELETE" or has_body(headers))


async def _received(door: Door, scope: Scope, receive: Receive) -> Receive:
    """Return what the application reads from: for a small body, the body itself, counted while it came in."""
    if door.max_body_bytes is None or not has_body(Headers(scope=scope)):
        return receive
    try:
        async with asyncio.timeout(_BODY_S):
            return await _whole_body(door.max_body_bytes, receive)
    except TimeoutError:
        raise BodyTooSlow from None


async def _whole_body(max_bytes: int, receive: Receive) -> Receive:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise BodyTooLarge
        if message["type"] != "http.request":
            return _replayed(message, receive)
        if not message.get("more_body"):
            return _replayed({"type": "http.request", "body": bytes(body), "more_body": False}, receive)


def _replayed(first: Message, receive: Receive) -> Receive:
    messages = [first]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
