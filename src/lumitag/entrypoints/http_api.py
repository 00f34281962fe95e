"""The HTTP API: one ASGI application over one platform. `docs/http-api.md` describes it.

A request passes the request log, then the guard, then its route; the routes translate and call the pipeline.
Their functions are synchronous, as the stores are, and run in the thread pool; only those that wait are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from lumitag.entrypoints.http import (
    routes_images,
    routes_notices,
    routes_operations,
    routes_session,
    routes_uploads,
    website,
)
from lumitag.entrypoints.http.credentials import Credentials
from lumitag.entrypoints.http.docs_page import DOCS_POLICY, docs_page
from lumitag.entrypoints.http.guard import Guard
from lumitag.entrypoints.http.http_errors import error_response
from lumitag.entrypoints.http.live_events import ChangeFeed
from lumitag.entrypoints.http.openapi import openapi_of
from lumitag.entrypoints.http.pace import Pace
from lumitag.entrypoints.http.request_log import RequestLog
from lumitag.entrypoints.http.served import Served
from lumitag.errors import InvalidRequest, LumitagError, MethodNotAllowed, NotFound
from lumitag.platform import Platform
from lumitag.settings import Settings

_ROUTERS: Final = (
    routes_uploads.router,
    routes_images.router,
    routes_notices.router,
    routes_session.router,
    routes_operations.router,
    website.router,
)
_LONGEST_NAME: Final = 100


def create_app(platform: Platform, settings: Settings, feed: ChangeFeed | None = None) -> FastAPI:
    """Return the application that serves `platform`.

    `feed` is what the platform tells of its changes; without one there is no `/events`, and who waits looks again
    from time to time. Close the feed to end all streams before the server stops.
    """
    app = FastAPI(title="Lumitag", docs_url=None, redoc_url=None, redirect_slashes=False)
    pace = Pace(platform.pipeline.event_queue.depth, settings.workers)
    served = Served(
        platform, settings, Credentials(settings), feed or ChangeFeed(), is_told=feed is not None, pace=pace
    )
    app.state.served = served
    for router in _ROUTERS:
        app.include_router(router)
    if feed is not None:
        app.include_router(routes_operations.events_router)
    if platform.uploads is not None:
        # The first one, because it is the busiest: routes are tried in turn.
        app.router.routes.insert(0, routes_uploads.UploadRoute(served, platform.uploads))
    app.add_api_route("/docs", _show_docs, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(RequestLog, metrics=platform.metrics)
    _answer_errors(app)
    _describe(app, needs_token=served.credentials.needed)
    return app


def _answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(LumitagError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_unrouted)


def _describe(app: FastAPI, *, needs_token: bool) -> None:
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi_of(app, needs_token=needs_token)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way to extend the document


def _show_docs(request: Request) -> HTMLResponse:
    """Return the documentation of every route."""
    app = cast("FastAPI", request.app)
    return HTMLResponse(docs_page(app.openapi()), headers={"Content-Security-Policy": DOCS_POLICY})


def _answer_error(_request: Request, error: Exception) -> JSONResponse:
    return error_response(cast("LumitagError", error))


def _answer_invalid(_request: Request, error: Exception) -> JSONResponse:
    return error_response(InvalidRequest(_explain(cast("RequestValidationError", error).errors())))


def _answer_unrouted(request: Request, error: Exception) -> Response:
    refused = cast("HTTPException", error)
    if refused.status_code == 404:  # noqa: PLR2004
        return error_response(NotFound("There is nothing at this address. See /docs for what there is."))
    if refused.status_code == 405:  # noqa: PLR2004
        return error_response(MethodNotAllowed(), {"Allow": _allowed(request)})
    return error_response(InvalidRequest("The body cannot be read as JSON."))


def _allowed(request: Request) -> str:
    """Return the methods that an address takes. Each has a route of its own, but the client asks for the address."""
    path = request.scope["route"].path
    operations = cast("FastAPI", request.app).openapi()["paths"].get(path, {"get": None, "head": None})
    return ", ".join(sorted(method.upper() for method in operations))


def _explain(problems: Sequence[Any]) -> str:
    """Return one sentence a problem, each with the name of the field that it is about."""
    return " ".join(dict.fromkeys(_sentence(problem) for problem in problems[:5]))


def _sentence(problem: Any) -> str:  # noqa: ANN401 - pydantic's
    if problem["type"] == "json_invalid":
        return "The body is not valid JSON."
    if problem["type"] == "extra_forbidden":
        return f"{_field(problem['loc'])}: there is no such field."
    if problem["type"] == "model_attributes_type":
        return "The body must be a JSON object."
    return f"{_field(problem['loc'])}: {_words(problem)}."


def _field(location: Sequence[str | int]) -> str:
    names = [str(part) for part in location[1:] if not str(part).endswith("Body")] or [str(part) for part in location]
    return ".".join(names).encode("ascii", "backslashreplace").decode()[:_LONGEST_NAME]


def _words(problem: Any) -> str:  # noqa: ANN401 - pydantic's
    return str(problem["msg"]).removeprefix("Value error, ").encode("ascii", "backslashreplace").decode()
