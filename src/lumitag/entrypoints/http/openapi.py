"""The OpenAPI document, completed: what FastAPI cannot know of the layers around it.

Every route may refuse: the guard before it, the store behind it. All refusals have one shape.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lumitag import __version__
from lumitag.domain import Json
from lumitag.entrypoints.http.answers import ErrorAnswer, UploadAnswer
from lumitag.entrypoints.http.credentials import COOKIE
from lumitag.entrypoints.http.guard import DOORS
from lumitag.entrypoints.http.schemas import IMAGE_CONTENT, KEY_EXAMPLE

_ABOUT: Final = (
    "Upload an image, get its labels, search by them, be told. "
    'Every error is `{"error": code, "message": what happened and what to do, "requestId"}`.'
)
_ALWAYS: Final = (400, 403, 421, 500)
_TO_BODIES: Final = (408, 413, 415)
_STORED: Final = (503, 507)
_WITH_KEY: Final = (404,)
_OWN: Final = {
    ("post", "/detect-labels"): (404,),
    ("get", "/images/{key}/thumbnail"): (422,),
    ("delete", "/subscriptions/{id}"): (404,),
    ("post", "/session"): (401,),
    ("post", "/generate-upload-url"): (429,),
    ("get", "/events"): (503,),
    ("put", "/objects/{key}"): (408, 409, 411, 413, 415, 429),
}
_ERROR: Final = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}}
_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "bearer"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}
_PUBLIC: Final = frozenset(door.path for door in DOORS if not door.needs_token)


def openapi_of(app: FastAPI, *, needs_token: bool) -> Json:
    """Return the whole document of a server that asks for a token, or of one that does not."""
    document = get_openapi(title="Lumitag", version=__version__, description=_ABOUT, routes=app.routes)
    schemas = document["components"]["schemas"]
    for model in (ErrorAnswer, UploadAnswer):
        schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schemas[model.__name__].pop("$defs", {}))
    if any(getattr(route, "path", None) == "/objects/{key}" for route in app.routes):
        document["paths"]["/objects/{key}"] = {"put": _upload_operation()}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _add_refusals(path, method, operation)
            if needs_token and not _is_public(path):
                _add_token(operation)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    if needs_token:
        document["components"]["securitySchemes"] = _SCHEMES
    return document


def _add_refusals(path: str, method: str, operation: Json) -> None:
    for status in _statuses(path, method, operation):
        _add_refusal(operation, status)


def _add_token(operation: Json) -> None:
    operation["security"] = [{name: []} for name in _SCHEMES]
    _add_refusal(operation, 401)


def _add_refusal(operation: Json, status: int) -> None:
    operation["responses"].setdefault(str(status), {"description": HTTPStatus(status).phrase, **_ERROR})


def _statuses(path: str, method: str, operation: Json) -> list[int]:
    operation["responses"].pop("422", None)  # FastAPI's own; ours is 400.
    found = {*_ALWAYS, *_STORED, *_OWN.get((method, path), ())}
    if "requestBody" in operation:
        found.update(_TO_BODIES)
    if "{key}" in path:
        found.update(_WITH_KEY)
    return sorted(found)


def _is_public(path: str) -> bool:
    return path in _PUBLIC or path == "/objects/{key}"


def _upload_operation() -> dict[str, Any]:
    answer = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/UploadAnswer"}}}}
    return {
        "tags": ["uploads"],
        "summary": "Upload",
        "description": "Send the bytes of one image exactly as its grant says. Use the address as it was given.",
        "operationId": "upload_objects__key__put",
        "parameters": [
            {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}, "example": KEY_EXAMPLE},
            {"name": "expires", "in": "query", "required": True, "schema": {"type": "string"}, "example": "1795435200"},
            {"name": "signature", "in": "query", "required": True, "schema": {"type": "string"}, "example": "0" * 64},
        ],
        "requestBody": {"required": True, "content": IMAGE_CONTENT},
        "responses": {
            "201": {"description": "Stored durably; it waits to be recognized.", **answer},
            "200": {"description": "The same bytes were there already.", **answer},
        },
    }
