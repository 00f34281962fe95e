"""The way in for bytes: a grant for one image, and, where this server keeps the images itself, the upload it grants."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from lumitag import telemetry
from lumitag.domain import ImageRecord, UploadRequest
from lumitag.entrypoints.http.answers import UploadGrantAnswer
from lumitag.entrypoints.http.http_errors import Incoming, content_length, refuse
from lumitag.entrypoints.http.schemas import UploadBody
from lumitag.entrypoints.http.served import Answer, Served, ServedHere, base_url
from lumitag.errors import ContentEncodingRefused, LengthRequired, LumitagError, UploadTooSlow
from lumitag.platform import IncomingUpload, SignedUploads

router: Final = APIRouter(tags=["uploads"])

_PIECE_BYTES: Final = 1 << 20
_SILENCE_S: Final = 20.0
_LOCKS: Final = 1024


@router.post("/generate-upload-url", response_model=UploadGrantAnswer)
async def generate_upload_url(body: UploadBody, request: Request, served: ServedHere) -> Answer:
    """Accept one image, and return a signed address that takes exactly this image for a few minutes.

    When very many images wait to be recognized, the answer takes up to two seconds.
    """
    await served.pace.keep()
    grant = await run_in_threadpool(
        served.pipeline.accept_upload,
        UploadRequest(body.file_name, body.content_type, body.size, body.sha256),
        base_url(request.scope, served.settings),
        telemetry.request_id.get(),
    )
    served.platform.metrics.count("upload_urls_issued_total")
    telemetry.log("upload_accepted", key=grant.key)
    return Answer(grant.to_json())


class UploadRoute(Route):
    """The address of granted uploads. Like FastAPI's own routes it leaves its name for the log."""

    def __init__(self, served: Served, store: SignedUploads) -> None:
        super().__init__("/objects/{key}", UploadReceiver(served, store), methods=["PUT"], include_in_schema=False)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the address and the method are right."""
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self}


class UploadReceiver:
    """Takes granted uploads, as a bare ASGI application: whether the bytes are wanted is known before they are read."""

    def __init__(self, served: Served, store: SignedUploads) -> None:
        self._served = served
        self._store = store
        self._metrics = served.platform.metrics
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one PUT."""
        incoming = Incoming(receive)
        key = scope["path_params"]["key"]
        try:
            await run_in_threadpool(self._check, scope, key)
            before = await self._take(key, incoming)
        except ClientDisconnect:
            self._metrics.count("uploads_total", outcome="disconnected")
        except LumitagError as error:
            self._metrics.count("uploads_total", outcome=error.code)
            await refuse(error, scope, incoming, send)
        else:
            self._count(before)
            content = {"key": key, "status": before.status.value}
            await Answer(content, 201 if before.upload_time is None else 200)(scope, incoming, send)

    def _check(self, scope: Scope, key: str) -> None:
        headers = Headers(scope=scope)
        size = content_length(headers)
        if size is None:
            raise LengthRequired
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise ContentEncodingRefused
        query = parse_qs(scope["query_string"].decode("latin-1"))
        self._store.check_grant(
            method=scope["method"],
            key=key,
            host=urlsplit(base_url(scope, self._served.settings)).netloc,
            content_type=headers.get("content-type"),
            content_length=size,
            expires=_only(query, "expires"),
            signature=_only(query, "signature"),
        )

    async def _take(self, key: str, incoming: Incoming) -> ImageRecord:
        with await run_in_threadpool(self._store.receive, key) as upload:
            piece = b""
            async for following in _pieces(incoming):
                if piece:
                    await run_in_threadpool(upload.write, piece)
                piece = following
            return await run_in_threadpool(self._finish, upload, piece, key)

    def _finish(self, upload: IncomingUpload, piece: bytes, key: str) -> ImageRecord:
        """Keep the image, and return its record as it was before, which tells whether it was there already."""
        upload.write(piece)
        with self._locks[hash(key) % _LOCKS]:
            before = self._served.pipeline.show_image(key)
            upload.commit()
        return before

    def _count(self, before: ImageRecord) -> None:
        self._metrics.count("uploads_total", outcome="created" if before.upload_time is None else "repeated")
        if before.upload_time is None:
            self._metrics.count("upload_bytes_total", before.size)
            telemetry.log("image_stored", key=before.key, request_id=before.request_id)


async def _pieces(incoming: Incoming) -> AsyncIterator[bytes]:
    """Yield the body in pieces large enough that a switch of threads for each costs nothing.

    Raises ClientDisconnect, UploadTooSlow.
    """
    piece = bytearray()
    while not incoming.ended:
        try:
            async with asyncio.timeout(_SILENCE_S):
                message = await incoming()
        except TimeoutError:
            raise UploadTooSlow from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece += message.get("body", b"")
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _only(query: dict[str, list[str]], name: str) -> str | None:
    values = query.get(name, [])
    return values[0] if len(values) == 1 else None
