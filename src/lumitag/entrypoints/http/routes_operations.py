"""For those who run the server: is it alive, is it ready, how is it doing, and what changes right now."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Header
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from lumitag.entrypoints.http.answers import HealthAnswer, ReadinessAnswer
from lumitag.entrypoints.http.live_events import ChangeFeed
from lumitag.entrypoints.http.served import Answer, ServedHere

router: Final = APIRouter(tags=["operations"])
_TEXT: Final = {"type": "string"}
events_router: Final = APIRouter(tags=["operations"])


@router.get("/healthz", response_model=HealthAnswer)
async def show_health() -> Answer:
    """Answer. Nothing else is asked, so that a full disk does not get the server restarted."""
    return Answer({"status": "ok"})


@router.get(
    "/readyz",
    response_model=ReadinessAnswer,
    responses={503: {"model": ReadinessAnswer, "description": "Not ready; the checks say why."}},
)
def show_readiness(served: ServedHere) -> Answer:
    """Return whether the server can do its work now, check by check."""
    checks = dict(served.platform.readiness())
    ready = all(found == "ok" for found in checks.values())
    return Answer({"ready": ready, "checks": checks}, 200 if ready else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Figures for Prometheus.", "content": {"text/plain": {"schema": _TEXT}}}},
)
def show_metrics(served: ServedHere) -> Response:
    """Return all figures in the Prometheus text format."""
    return Response(served.platform.metrics.render(), media_type=CONTENT_TYPE_LATEST)


@events_router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": _TEXT}}}},
)
async def listen(served: ServedHere, last_event_id: Annotated[str | None, Header(max_length=100)] = None) -> Response:
    """Return a stream of changes: `image` with the record, `deleted` with the key, `reset` when some were missed."""
    return EventStream(served.feed, last_event_id)


class EventStream(StreamingResponse):
    """Server-sent events until the client leaves or the server stops."""

    def __init__(self, feed: ChangeFeed, last_event_id: str | None) -> None:
        super().__init__((), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._feed = feed
        self._last_event_id = last_event_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request. Raises TooManyListeners while that can still be an answer."""
        with self._feed.listen(self._last_event_id) as blocks:
            self.body_iterator = blocks
            await super().__call__(scope, receive, send)
