"""What every route needs: the platform that is served, its settings, and who hears of changes."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Scope

from lumitag.domain import ImageRecord, ImageStatus, Json
from lumitag.entrypoints.http.credentials import Credentials
from lumitag.entrypoints.http.live_events import ChangeFeed
from lumitag.entrypoints.http.pace import Pace
from lumitag.pipeline import Pipeline
from lumitag.platform import Platform
from lumitag.settings import Settings

# The feed tells at once; looking again is for what another process has stored.
_LOOK_AGAIN_S: Final = 5.0
_LOOK_AGAIN_UNTOLD_S: Final = 0.5

_THUMBNAILS_AT_ONCE: Final = 8


def _thumbnail_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THUMBNAILS_AT_ONCE, "thumbnail")


@dataclass(frozen=True)
class Served:
    """One platform behind HTTP."""

    platform: Platform
    settings: Settings
    credentials: Credentials
    feed: ChangeFeed
    is_told: bool
    pace: Pace
    thumbnail_threads: ThreadPoolExecutor = field(default_factory=_thumbnail_threads)

    @property
    def pipeline(self) -> Pipeline:
        """The product."""
        return self.platform.pipeline

    async def thumbnail(self, key: str) -> bytes:
        """Return the small JPEG of an image.

        Making one waits for a recognizer, so it has threads of its own: without a recognizer, a page full
        of thumbnails would take all that the other requests have.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thumbnail_threads, self.platform.thumbnail, key)

    async def settled(self, key: str, wait_s: float) -> ImageRecord:
        """Return the record of an image as soon as it is no longer pending, or after `wait_s` seconds as it is.

        Raises ImageNotFound. No thread waits: only looking takes one.
        """
        deadline = time.monotonic() + wait_s
        with self.feed.watch(key) as waker:
            while True:
                record = await run_in_threadpool(self.pipeline.show_image, key)
                left = deadline - time.monotonic()
                if record.status is not ImageStatus.PENDING or left <= 0 or self.feed.is_closed:
                    return record
                await waker.wait(min(left, _LOOK_AGAIN_S if self.is_told else _LOOK_AGAIN_UNTOLD_S))


async def _served(request: Request) -> Served:
    served: Served = request.app.state.served
    return served


ServedHere = Annotated[Served, Depends(_served)]


class Answer(Response):
    """JSON that is written as it is: the domain has checked it, so it is not checked again on its way out."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - Starlette's signature
        """Return the bytes of the body."""
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def images_json(records: tuple[ImageRecord, ...], min_confidence: float) -> list[Json]:
    """Return the records with the labels at or above `min_confidence` percent."""
    return [record.with_visible_labels(min_confidence).to_json() for record in records]


def base_url(scope: Scope, settings: Settings) -> str:
    """Return how this client reaches the server, from headers that the guard has checked.

    A page is told its own origin, because its browser lets it talk to nobody else.
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    if origin is not None:
        return str(origin.decode("ascii"))
    return settings.public_url or f"{scope['scheme']}://{headers[b'host'].decode('ascii')}"
