"""Who may come in: host, origin, token, content; and what the log says of it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lumitag import telemetry
from lumitag.domain import Json
from lumitag.entrypoints.http.credentials import COOKIE
from lumitag.entrypoints.http.guard import DOORS, MAX_BODY_BYTES
from lumitag.entrypoints.http.own_hosts import OwnHosts
from lumitag.settings import load_settings
from tests.entrypoints.conftest import ADDRESS, TOKEN, InProcess, Site, bearer, open_site

PUBLIC = {"/healthz", "/session", "/objects/{key}"}
UNDOCUMENTED = [("get", "/docs"), ("get", "/openapi.json"), ("get", "/nowhere"), ("post", "/")]


def raw(app: Any, headers: list[tuple[bytes, bytes]], method: str = "GET", path: str = "/healthz") -> tuple[int, bytes]:
    """Send exactly these headers, which no client library would, and return status and body."""
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
    }

    async def receive() -> Json:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


# Host


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000", "[::1]:8000"])
def test_this_machine_is_answered_under_its_own_names(shared_site: Site, host: str) -> None:
    assert raw(shared_site.app, [(b"host", host.encode())])[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.test", "evil.test:8000", "127.0.0.1.evil.test:8000", "localhost.evil.test:8000", "localhost.:8000"),
        *("127.0.0.1", "127.0.0.1:80", "127.0.0.1:8001", "localhost:65536", "localhost:", "localhost:8000:8000"),
        *("a/b?x", "127.0.0.1:8000/x", "x@127.0.0.1:8000", "127.0.0.1:8000@evil.test", "127.0.0.1:8000,evil.test"),
        *("[::ffff:7f00:1]:8000", "[::2]:8000", "[::1%lo]:8000", "::1", "0x7f.1:8000", "2130706433:8000", "127.1:8000"),
        *("", " ", "127.0.0.1:8000 ", "*", "192.168.1.2:8000", "8.8.8.8", "loc\u00e4lhost:8000"),
        *("localhost:\u0668\u0660\u0660\u0660", "127.0.0.1:8000\x00", "127.0.0.1:08000.evil.test"),
    ],
)
@pytest.mark.parametrize("path", ["/healthz", "/images", "/"])
def test_no_other_name_can_be_pointed_at_this_machine(shared_site: Site, host: str, path: str) -> None:
    status, body = raw(shared_site.app, [(b"host", host.encode())], path=path)

    assert status in {400, 421}
    assert json.loads(body)["error"] in {"wrong_host", "invalid_request"}


@pytest.mark.parametrize(
    "headers", [[], [(b"host", b"127.0.0.1:8000")] * 2, [(b"host", b"127.0.0.1:8000"), (b"host", b"evil.test")]]
)
def test_exactly_one_host_is_needed(shared_site: Site, headers: list[tuple[bytes, bytes]]) -> None:
    assert raw(shared_site.app, headers)[0] == 400


@pytest.mark.parametrize(
    ("settings", "host", "expected"),
    [
        ({"allowed_hosts": "photos.example"}, "photos.example", True),
        ({"allowed_hosts": "photos.example"}, "Photos.Example", True),
        ({"allowed_hosts": "photos.example"}, "photos.example:8000", True),
        ({"allowed_hosts": "photos.example"}, "photos.example:9000", False),
        ({"allowed_hosts": "photos.example:9000"}, "photos.example:9000", True),
        ({"allowed_hosts": "photos.example:9000"}, "photos.example", False),
        ({"allowed_hosts": "photos.example"}, "evil.photos.example", False),
        ({"public_url": "https://photos.example"}, "photos.example", True),
        ({"public_url": "https://photos.example:8443"}, "photos.example:8443", True),
        ({"public_url": "https://photos.example:8443"}, "photos.example", False),
        ({"host": "0.0.0.0", "token": TOKEN}, "192.168.1.7:8000", True),
        ({"host": "0.0.0.0", "token": TOKEN}, "192.168.1.7:31000", True),
        ({"host": "::", "token": TOKEN}, "[2001:db8::7]:8000", True),
        ({"host": "0.0.0.0", "token": TOKEN}, "evil.test:8000", False),
        ({"host": "nas.local", "token": TOKEN}, "nas.local:8000", True),
        ({"host": "nas.local", "token": TOKEN}, "nas.local:8001", False),
    ],
)
def test_further_names_are_those_that_the_settings_name(settings: Json, host: str, expected: bool) -> None:
    assert OwnHosts(load_settings(**settings)).owns(host.lower(), 8000, "http") is expected


def test_the_port_is_the_one_that_was_really_bound(site: Site) -> None:
    assert OwnHosts(load_settings(port=0)).owns("localhost:43210", 43210, "http")


# Origin


FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.test"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://127.0.0.1:8000.evil.test"},
    {"Origin": "http://127.0.0.1:80000"},
    {"Origin": "file://"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_site_gets_nothing_and_changes_nothing(shared_site: Site, headers: dict[str, str]) -> None:
    key = shared_site.upload()
    answers = [
        shared_site.client.get("/images", headers=headers),
        shared_site.client.get(f"/images/{key}/thumbnail", headers=headers),
        shared_site.client.delete(f"/images/{key}", headers=headers),
        shared_site.client.post("/relabel", json={"every": True}, headers=headers),
        shared_site.client.post("/session", json={"token": "x"}, headers=headers),
        shared_site.client.put(f"/objects/{key}", content=b"x", headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [403] * 6
    assert shared_site.client.get(f"/images/{key}").status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/website/api.js"])
def test_another_site_may_link_to_the_page_but_not_frame_it(shared_site: Site, path: str) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}

    assert shared_site.client.get(path, headers=followed).status_code == 200
    assert shared_site.client.get(path, headers={**followed, "Sec-Fetch-Dest": "iframe"}).status_code == 403
    assert shared_site.client.get(path).headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("origin", [ADDRESS, "http://127.0.0.1:8000"])
def test_the_own_page_may_do_everything(shared_site: Site, origin: str) -> None:
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}

    assert shared_site.client.post("/relabel", json={}, headers=headers).status_code == 200


def test_a_page_behind_a_proxy_is_known_by_the_public_url(tmp_path: Path) -> None:
    """The proxy may change the Host; the browser still says where its page came from, and may only talk to that."""
    site = open_site(tmp_path, public_url="https://photos.example")
    headers = {"Origin": "https://photos.example", "Host": "127.0.0.1:8000"}
    answer = site.client.post(
        "/generate-upload-url", json={"fileName": "a", "contentType": "image/png", "size": 1}, headers=headers
    )

    assert answer.json()["uploadUrl"].startswith("https://photos.example/objects/")
    query = answer.json()["uploadUrl"].partition("photos.example")[2]
    put = site.client.put(query, headers={**headers, "Content-Type": "image/png"}, content=b"x")
    assert put.status_code == 201
    site.platform.close()


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"]
)
@pytest.mark.parametrize("path", ["/generate-upload-url", "/relabel", "/dead-letters", "/subscriptions", "/session"])
def test_what_a_form_can_send_is_refused(shared_site: Site, path: str, content_type: str) -> None:
    answer = shared_site.client.post(path, content=b'{"every": true}', headers={"Content-Type": content_type})

    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_body")


# Token


def addresses(site: Site) -> Iterator[tuple[str, str]]:
    document = site.client.get("/openapi.json", headers=bearer()).json()
    for path, methods in document["paths"].items():
        if path not in PUBLIC:
            yield from ((method, path.replace("{key}", "0" * 26).replace("{id}", "x")) for method in methods)
    yield from UNDOCUMENTED


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("wrong horse battery staple"),
        bearer(TOKEN + "x"),
        bearer(TOKEN[:-1]),
        bearer(""),
        bearer(TOKEN.upper()),
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer \u00e9".encode("latin-1").decode("latin-1")},
        {"Cookie": f"{COOKIE}={TOKEN}"},
        {"Cookie": f"{COOKIE}=9999999999.{'0' * 64}"},
        {"Cookie": f"{COOKIE}=99999999999999999999.x"},
    ],
    ids=str,
)
def test_without_the_token_every_route_is_closed(shared_locked_site: Site, headers: dict[str, str]) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    for method, path in addresses(shared_locked_site):
        content: Json = {"json": {}} if method == "post" else {}
        answer = shared_locked_site.client.request(method, path, headers=encoded, **content)
        assert answer.status_code == 401, f"{method} {path}"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["error"] == "unauthorized"


def test_with_the_token_no_route_asks_again(shared_locked_site: Site) -> None:
    for method, path in addresses(shared_locked_site):
        if path == "/events":  # It would not end.
            continue
        content: Json = {"json": {}} if method == "post" else {}
        assert shared_locked_site.client.request(method, path, headers=bearer(), **content).status_code != 401


@pytest.mark.parametrize("path", ["/", "/healthz", "/session", "/website/api.js"])
def test_the_page_can_be_loaded_to_sign_in(shared_locked_site: Site, path: str) -> None:
    assert shared_locked_site.client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "//images",
        "/images/",
        "/website/../images",
        "/website/..%2fimages",
        "/objects/../images",
        "/Images",
        "/%69mages",
    ],
)
def test_no_spelling_of_an_address_goes_around_the_token(shared_locked_site: Site, path: str) -> None:
    status, body = raw(shared_locked_site.app, [(b"host", b"127.0.0.1:8000")], path=path)

    assert status in {401, 404}
    assert "images" not in json.loads(body)


def test_an_upload_needs_no_token_because_its_address_is_one(locked_site: Site) -> None:
    locked_site.client.headers.update(bearer())
    grant = locked_site.grant(b"a picture")
    del locked_site.client.headers["Authorization"]

    assert locked_site.send(grant, b"a picture").status_code == 201


def test_a_session_stands_for_the_token_without_being_it(locked_site: Site) -> None:
    client = locked_site.client
    assert client.get("/session").json() == {"tokenNeeded": True, "signedIn": False}

    answer = client.post("/session", json={"token": TOKEN})
    cookie = answer.headers["set-cookie"]

    assert answer.status_code == 204
    assert TOKEN not in cookie
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert client.get("/session").json() == {"tokenNeeded": True, "signedIn": True}
    assert client.get("/images").status_code == 200

    client.delete("/session")
    assert client.get("/images").status_code == 401


def test_a_wrong_token_opens_no_session(locked_site: Site) -> None:
    answer = locked_site.client.post("/session", json={"token": "wrong"})

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_a_session_ends(locked_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    locked_site.client.post("/session", json={"token": TOKEN})
    monkeypatch.setattr("lumitag.entrypoints.http.credentials.time.time", lambda: 4e9)

    assert locked_site.client.get("/images").status_code == 401


def test_a_session_of_another_token_is_none(locked_site: Site, tmp_path: Path) -> None:
    other = open_site(tmp_path / "other", token="another token altogether")
    other.client.post("/session", json={"token": "another token altogether"})
    locked_site.client.cookies = other.client.cookies

    assert locked_site.client.get("/images").status_code == 401
    other.platform.close()


def test_a_session_behind_tls_never_travels_without_it(tmp_path: Path) -> None:
    site = open_site(tmp_path, token=TOKEN, public_url="https://photos.example")
    answer = site.client.post("/session", json={"token": TOKEN})

    assert "secure" in answer.headers["set-cookie"].lower()
    site.platform.close()


def test_a_server_without_a_token_says_so(shared_site: Site) -> None:
    assert shared_site.client.get("/session").json() == {"tokenNeeded": False, "signedIn": True}
    assert shared_site.client.post("/session", json={"token": "any"}).status_code == 204


def test_every_public_address_is_one_of_the_known_ones() -> None:
    """A new door without a lock has to be written down here too."""
    assert {door.path for door in DOORS if not door.needs_token} == {
        *("/", "/website/*", "/healthz", "/session", "/objects/*")
    }


# Bodies


def test_a_body_that_is_too_large_is_refused_unread(shared_site: Site) -> None:
    headers = [
        (b"host", b"127.0.0.1:8000"),
        (b"content-type", b"application/json"),
        (b"content-length", b"10000000000"),
    ]
    status, body = raw(shared_site.app, headers, "POST", "/relabel")

    assert (status, json.loads(body)["error"]) == (413, "body_too_large")


def test_a_body_of_unknown_size_is_cut_at_the_limit(shared_site: Site) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * 1024

    transport = httpx.ASGITransport(shared_site.app)

    async def post() -> httpx.Response:
        async def pieces() -> Any:
            for piece in endless():
                yield piece

        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
            return await client.post("/relabel", content=pieces(), headers={"Content-Type": "application/json"})

    assert asyncio.run(post()).status_code == 413


def test_the_largest_body_is_taken(shared_site: Site) -> None:
    body = b'{"every": false' + b" " * (MAX_BODY_BYTES - 16) + b"}"

    assert len(body) == MAX_BODY_BYTES
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert shared_site.client.post("/relabel", content=body, headers=headers).status_code == 200
    assert shared_site.client.post("/relabel", content=body + b" ", headers=headers).status_code == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", " ", "\u00b2", "9" * 5000])
def test_a_strange_length_is_refused(shared_site: Site, length: str) -> None:
    headers = [
        (b"host", b"127.0.0.1:8000"),
        (b"content-type", b"application/json"),
        (b"content-length", length.encode("latin-1")),
    ]

    assert raw(shared_site.app, headers, "POST", "/relabel")[0] in {400, 413}


# Request ids, headers and the log


@pytest.fixture
def lines() -> Iterator[Callable[[], list[str]]]:
    """What would be written to standard output, line by line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(telemetry._JSONFormatter())
    logger = logging.getLogger("lumitag")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: stream.getvalue().removesuffix("\n").split("\n")
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize("name", ["X-Request-Id", "traceparent"])
def test_a_harmless_request_id_is_kept(shared_site: Site, name: str) -> None:
    given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    assert shared_site.client.get("/healthz", headers={name: given}).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["short", "x" * 65, "has space", "new\\nline", 'quo"te-quote', "\u00e4\u00f6\u00fc-umlauts"]
)
def test_a_strange_request_id_is_replaced(shared_site: Site, given: str) -> None:
    answer = shared_site.client.get("/healthz", headers=[(b"X-Request-Id", given.encode("latin-1"))])

    assert answer.headers["x-request-id"].isalnum()
    assert len(answer.headers["x-request-id"]) == 26


def test_the_request_id_follows_the_image(site: Site) -> None:
    site.client.headers["X-Request-Id"] = "follow-me-please"
    key = site.upload()

    assert site.platform.pipeline.show_image(key).request_id == "follow-me-please"


@pytest.mark.parametrize("path", ["/", "/images", "/nowhere", "/healthz", "/docs", "/metrics"])
def test_every_answer_carries_the_headers_that_protect_it(shared_site: Site, path: str) -> None:
    headers = shared_site.client.get(path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_a_refusal_is_logged_and_carries_the_headers_too(shared_site: Site, lines: Callable[[], list[str]]) -> None:
    answer = shared_site.client.get("/images", headers={"Host": "evil.test"})

    assert answer.status_code == 421
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert json.loads(lines()[-1])["code"] == 421


def test_one_line_a_request_names_the_route_and_not_the_address(site: Site, lines: Callable[[], list[str]]) -> None:
    key = site.upload()
    site.client.get(f"/images/{key}?minConfidence=50", headers={"X-Request-Id": "one-line-please"})
    line = json.loads(lines()[-1])

    assert {name: line[name] for name in ("event", "method", "route", "code", "request_id")} == {
        "event": "http_request",
        "method": "GET",
        "route": "/images/{key}",
        "code": 200,
        "request_id": "one-line-please",
    }
    assert line["duration_ms"] > 0


def test_no_secret_and_no_name_reaches_the_log(site: Site, lines: Callable[[], list[str]]) -> None:
    grant = site.grant(b"a picture", fileName="very-private-holiday.jpg")
    site.send(grant, b"a picture")
    site.send(grant, b"other pic")
    site.client.get(f"/images/{grant['key']}/content")
    site.client.post("/subscriptions", json={"channel": "mail", "address": "very-private@example.org"})
    site.client.post("/session", json={"token": "very-private-token-value"})
    site.client.get("/images?label=very-private-label", headers=bearer("very-private-bearer"))
    text = "\n".join(lines())

    assert len(lines()) >= 7
    assert "very-private" not in text
    assert grant["uploadUrl"].rpartition("signature=")[2] not in text


JUNK = ["a\x1b[31mred", "a\tb", "\x1b]0;title\x07", "a\x85b", '"},{"event":"forged', "\u2028", "%0d%0a", "\xff\xfe"]


@pytest.mark.parametrize("junk", JUNK)
def test_junk_in_headers_and_addresses_stays_one_json_line(
    shared_site: Site, lines: Callable[[], list[str]], junk: str
) -> None:
    value = junk.encode("utf-8", "replace")
    names = [b"x-request-id", b"user-agent", b"referer", b"content-type", b"cookie", b"authorization", b"accept"]
    headers = [(b"host", b"127.0.0.1:8000"), *((name, value + b"\r\nforged: 1") for name in names)]
    for path in ("/images", f"/images/{junk}", "/" + junk):
        raw(shared_site.app, headers, path=path)

    assert lines()
    for line in lines():
        assert "\n" not in line
        assert json.loads(line)["event"] == "http_request"


def test_a_client_of_the_own_page_is_told_its_own_address(shared_site: Site) -> None:
    client = httpx.Client(transport=InProcess(shared_site.app), base_url="http://localhost:8000")
    body = {"fileName": "a", "contentType": "image/png", "size": 1}

    assert client.post("/generate-upload-url", json=body).json()["uploadUrl"].startswith("http://localhost:8000/")
