"""The page: the files of `lumitag/website`, served as they are, with a strict content security policy."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

import lumitag
from lumitag.errors import NotFound

router: Final = APIRouter(include_in_schema=False)

_FOLDER: Final = Path(lumitag.__file__).parent / "website"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/vnd.microsoft.icon",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}


@router.api_route("/", methods=["GET", "HEAD"])
def show_page(request: Request) -> Response:
    """Return the page itself."""
    return _file("index.html", request)


@router.api_route("/website/{name}", methods=["GET", "HEAD"])
def show_file(name: str, request: Request) -> Response:
    """Return a script, a style sheet or an image of the page."""
    return _file(name, request)


def _file(name: str, request: Request) -> Response:
    content = _content(name)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache", "ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_MEDIA_TYPES[Path(name).suffix], headers=headers)


def _content(name: str) -> bytes:
    # The name is looked up among those that are there; it never becomes part of a path.
    files = {file.name: file for file in _FOLDER.iterdir() if file.suffix in _MEDIA_TYPES} if _FOLDER.is_dir() else {}
    if name not in files:
        raise NotFound
    return files[name].read_bytes()
