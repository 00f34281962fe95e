"""The session of a page: a cookie that stands for the token."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from lumitag.entrypoints.http.answers import SessionAnswer
from lumitag.entrypoints.http.credentials import COOKIE, SESSION_S
from lumitag.entrypoints.http.schemas import SignInBody
from lumitag.entrypoints.http.served import Answer, ServedHere, base_url
from lumitag.errors import Unauthorized

router: Final = APIRouter(tags=["session"])


@router.get("/session", response_model=SessionAnswer)
async def show_session(request: Request, served: ServedHere) -> Answer:
    """Return whether this server asks for a token, and whether this client may come in."""
    credentials = served.credentials
    return Answer({"tokenNeeded": credentials.needed, "signedIn": credentials.admit(request.headers)})


@router.post("/session", status_code=204)
async def sign_in(body: SignInBody, request: Request, served: ServedHere) -> Response:
    """Exchange the token for a session cookie. Without a token to ask for there is nothing to do."""
    response = Response(status_code=204)
    if served.credentials.needed:
        if not served.credentials.is_token(body.token):
            raise Unauthorized("That is not the token of this server. Look for LUMITAG_TOKEN where it was started.")
        _set_cookie(response, request, served, served.credentials.new_session(), SESSION_S)
    return response


@router.delete("/session", status_code=204)
async def sign_out(request: Request, served: ServedHere) -> Response:
    """Forget the session cookie."""
    response = Response(status_code=204)
    _set_cookie(response, request, served, "", 0)
    return response


def _set_cookie(response: Response, request: Request, served: ServedHere, value: str, lifetime_s: int) -> None:
    is_secure = base_url(request.scope, served.settings).startswith("https:")
    response.set_cookie(COOKIE, value, max_age=lifetime_s, secure=is_secure, httponly=True, samesite="strict")
