"""The HTTP API over the real local stores, with a recognizer that needs no model. Nothing listens on a port."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from lumitag.bootstrap import build_platform
from lumitag.domain import Json, Label
from lumitag.entrypoints.http.live_events import ChangeFeed
from lumitag.entrypoints.http_api import create_app
from lumitag.platform import Platform
from lumitag.settings import Settings, load_settings
from tests.fakes import DOG, PROPERTIES, SPOT, FakeRecognizer

ADDRESS = "http://127.0.0.1:8000"
TOKEN = "correct horse battery staple"
THUMBNAIL = b"\xff\xd8 a small jpeg \xff\xd9"
CAT = Label("Cat", "n02121620", 75.5, ("Animal",), ("Feline",), ("Animals and Pets",))


class InProcess(httpx.BaseTransport):
    """Sends requests straight into an ASGI application; what it lets escape fails the test."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        copy = httpx.Request(request.method, request.url, headers=request.headers, content=content)
        answer = await self._transport.handle_async_request(copy)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


@dataclass
class Site:
    """One server in process: its parts, and a client that talks to it."""

    settings: Settings
    platform: Platform
    feed: ChangeFeed
    recognizer: FakeRecognizer
    checks: dict[str, str]
    app: FastAPI
    client: httpx.Client

    def grant(self, content: bytes, *, sha256: bool = True, **fields: object) -> Json:
        """Return the grant to upload `content`."""
        body: Json = {"fileName": "dog.jpg", "contentType": "image/jpeg", "size": len(content), **fields}
        if sha256:
            body["sha256"] = hashlib.sha256(content).hexdigest()
        answer = self.client.post("/generate-upload-url", json=body)
        assert answer.status_code == 200, answer.text
        grant: Json = answer.json()
        return grant

    def send(self, grant: Json, content: bytes) -> httpx.Response:
        """Upload `content` as the grant says."""
        return self.client.put(grant["uploadUrl"], headers=grant["headers"], content=content)

    def upload(self, content: bytes = b"a picture", **fields: object) -> str:
        """Upload `content` and return its key."""
        grant = self.grant(content, sha256=True, **fields)
        assert self.send(grant, content).status_code == 201
        key: str = grant["key"]
        return key

    def recognize(self) -> None:
        """Recognize everything that waits."""
        while messages := self.platform.pipeline.event_queue.receive(10, 0):
            for message in messages:
                self.platform.pipeline.recognize_image(message)

    def colored(self) -> str:
        """Upload an image that is recognized with properties and return its key."""
        self.recognizer.labels, self.recognizer.properties = (DOG, SPOT), PROPERTIES
        return self.recognized()

    def recognized(self, content: bytes = b"a picture", **fields: object) -> str:
        """Upload and recognize one image; return its key."""
        key = self.upload(content, **fields)
        self.recognize()
        return key


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server on this machine without a token."""
    with_it = open_site(tmp_path)
    yield with_it
    with_it.platform.close()


@pytest.fixture(scope="session")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server like `site`, but one for all tests that leave nothing behind that another would notice."""
    with_it = open_site(tmp_path_factory.mktemp("shared"))
    yield with_it
    with_it.platform.close()


@pytest.fixture(scope="session")
def shared_locked_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server like `locked_site`, likewise."""
    with_it = open_site(tmp_path_factory.mktemp("locked"), token=TOKEN)
    yield with_it
    with_it.platform.close()


@pytest.fixture
def locked_site(tmp_path: Path) -> Iterator[Site]:
    """A server that asks for a token; its client does not send one by itself."""
    with_it = open_site(tmp_path, token=TOKEN)
    yield with_it
    with_it.platform.close()


def open_site(folder: Path, **overrides: object) -> Site:
    """Build a server over real stores in `folder`."""
    settings = load_settings(data=folder / "data", min_free_bytes=0, **overrides)
    feed = ChangeFeed(settings.min_confidence_percent)
    built = build_platform(settings, feed.publish)
    recognizer = FakeRecognizer((DOG, CAT))
    pipeline = replace(built.pipeline, recognizer=recognizer)
    checks = {"database": "ok", "room": "ok"}
    platform = replace(built, pipeline=pipeline, thumbnail=lambda _key: THUMBNAIL, readiness=lambda: checks)
    app = create_app(platform, settings, feed)
    client = httpx.Client(transport=InProcess(app), base_url=ADDRESS)
    return Site(settings, platform, feed, recognizer, checks, app, client)


def bearer(token: str = TOKEN) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}
