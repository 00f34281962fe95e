"""The way in: a grant is good for exactly one upload, and nothing that goes wrong leaves anything behind."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from lumitag.domain import Json, new_key
from lumitag.entrypoints.http_api import create_app
from lumitag.errors import StoreFull, StoreUnavailable
from tests.entrypoints.conftest import ADDRESS, InProcess, Site, open_site

CONTENT = b"a picture of a dog"


def files_of(site: Site) -> list[Path]:
    """Return every file that an upload could have left."""
    return [path for name in ("objects", "tmp") for path in (site.settings.data / name).rglob("*") if path.is_file()]


def put_scope(grant: Json, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    url = urlsplit(grant["uploadUrl"])
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "PUT",
        "scheme": "http",
        "path": url.path,
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "root_path": "",
        "headers": headers,
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
    }


def put_messages(site: Site, grant: Json, messages: list[Json], length: int) -> list[Any]:
    """Upload with exactly these messages from the client; return what it was answered."""
    sent: list[Any] = []
    headers = [
        (b"host", b"127.0.0.1:8000"),
        (b"content-type", b"image/jpeg"),
        (b"content-length", str(length).encode()),
    ]

    async def receive() -> Json:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(site.app(put_scope(grant, headers), receive, send))
    return sent


def test_a_grant_says_all_that_an_upload_needs(site: Site) -> None:
    grant = site.grant(CONTENT)

    assert set(grant) == {"key", "uploadUrl", "method", "headers", "fields", "expiresAt"}
    assert grant["method"] == "PUT"
    assert grant["uploadUrl"].startswith(f"{ADDRESS}/objects/{grant['key']}?")


@pytest.mark.parametrize("sha256", [True, False])
def test_an_upload_is_created_once_and_then_known(site: Site, sha256: bool) -> None:
    grant = site.grant(CONTENT, sha256=sha256)
    answers = [site.send(grant, CONTENT) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert answers[0].json() == {"key": grant["key"], "status": "pending"}
    site.recognize()
    assert site.send(grant, CONTENT).json() == {"key": grant["key"], "status": "recognized"}
    assert site.client.get(f"/images/{grant['key']}/content").content == CONTENT


@pytest.mark.parametrize("sha256", [True, False])
def test_other_bytes_under_the_same_url_are_refused(site: Site, sha256: bool) -> None:
    grant = site.grant(CONTENT, sha256=sha256)
    site.send(grant, CONTENT)
    answer = site.send(grant, CONTENT.upper())

    assert (answer.status_code, answer.json()["error"]) == (409, "already_uploaded")
    assert site.client.get(f"/images/{grant['key']}/content").content == CONTENT


@pytest.mark.parametrize("sha256", [True, False])
def test_twenty_parallel_uploads_of_one_url_create_one_image(site: Site, sha256: bool) -> None:
    grant = site.grant(CONTENT, sha256=sha256)

    async def upload_all() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(site.app)) as client:
            puts = [client.put(grant["uploadUrl"], headers=grant["headers"], content=CONTENT) for _ in range(20)]
            return [answer.status_code for answer in await asyncio.gather(*puts)]

    assert sorted(asyncio.run(upload_all())) == [200] * 19 + [201]
    assert site.platform.pipeline.event_queue.depth() == 1


def test_twenty_parallel_uploads_of_different_bytes_keep_one(site: Site) -> None:
    grant = site.grant(CONTENT, sha256=False)
    contents = [CONTENT[:-2] + f"{number:02}".encode() for number in range(20)]

    async def upload_all() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(site.app)) as client:
            puts = [client.put(grant["uploadUrl"], headers=grant["headers"], content=content) for content in contents]
            return [answer.status_code for answer in await asyncio.gather(*puts)]

    assert sorted(asyncio.run(upload_all())) == [201] + [409] * 19


def mutated(text: str, chance: random.Random) -> str:
    """Return `text` with one character changed, left out, doubled or added."""
    at = chance.randrange(len(text)) if text else 0
    other = chance.choice([c for c in "0123456789abcdefghjkmnpqrstvwxyz" if not text or c != text[at]])
    return chance.choice(
        [text[:at] + other + text[at + 1 :], text[:at] + text[at + 1 :], text + other, other + text, ""]
    )


def a_mutation(grant: Json, other_key: str, chance: random.Random) -> tuple[str, str, dict[str, str]]:
    """Return method, URL and headers of an upload that differs from the granted one in exactly one field."""
    url = urlsplit(grant["uploadUrl"])
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    headers = {**grant["headers"], "Content-Length": str(len(CONTENT)), "Host": "127.0.0.1:8000"}
    method, key = "PUT", grant["key"]
    match chance.choice(["method", "key", "expires", "signature", "type", "length", "host", "twice", "missing"]):
        case "method":
            method = chance.choice(["POST", "PATCH", "DELETE", "GET"])
        case "key":
            key = chance.choice([other_key, new_key(), mutated(key, chance), key.upper()])
        case "expires":
            query["expires"] = chance.choice(
                [mutated(query["expires"], chance), str(int(query["expires"]) + 600), "-1"]
            )
        case "signature":
            query["signature"] = chance.choice([mutated(query["signature"], chance), query["signature"].upper()])
        case "type":
            headers["Content-Type"] = chance.choice(["image/png", "text/html", "", "image/jpeg; x=1", "image/svg+xml"])
        case "length":
            headers["Content-Length"] = str(chance.choice([0, 1, len(CONTENT) - 1, len(CONTENT) + 1, 10**10]))
        case "host":
            headers["Host"] = chance.choice(
                ["localhost:8000", "evil.test", "[::1]:8000", "127.0.0.1:8001", "127.0.0.1"]
            )
        case "twice":
            name = chance.choice(sorted(query))
            return method, f"/objects/{key}?{url.query}&{name}={query[name]}", headers
        case "missing":
            del query[chance.choice(sorted(query))]
    return method, f"/objects/{key}?" + "&".join(f"{name}={value}" for name, value in query.items()), headers


def test_no_mutation_of_a_grant_is_accepted(site: Site) -> None:
    """Two thousand requests that differ from the granted one in one field: all are refused, nothing is stored."""
    grant, other = site.grant(CONTENT), site.grant(CONTENT)
    chance = random.Random(20261123)

    async def send_all() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(site.app), base_url=ADDRESS) as client:
            codes = []
            for _ in range(2000):
                method, url, headers = a_mutation(grant, other["key"], chance)
                codes.append((await client.request(method, url, headers=headers, content=CONTENT)).status_code)
            return codes

    codes = asyncio.run(send_all())

    assert [code for code in codes if code < 400] == []
    assert [code for code in codes if code >= 500] == []
    assert files_of(site) == []
    assert site.send(grant, CONTENT).status_code == 201


def test_an_expired_grant_is_refused(tmp_path: Path) -> None:
    site = open_site(tmp_path, upload_lifetime_s=1)
    grant = site.grant(CONTENT)

    time.sleep(1.1)
    answer = site.send(grant, CONTENT)

    assert (answer.status_code, answer.json()["error"]) == (403, "upload_expired")
    site.platform.close()


@pytest.mark.parametrize("body", [CONTENT[:-1], CONTENT + b"x", b"", CONTENT * 1000])
def test_a_body_of_another_size_keeps_nothing(site: Site, body: bytes) -> None:
    """The announced length is right, the bytes are not: a server would never pass them on, but who knows."""
    grant = site.grant(CONTENT)
    messages: list[Json] = [{"type": "http.request", "body": body, "more_body": False}]
    sent = put_messages(site, grant, messages, len(CONTENT))

    assert sent[0]["status"] == 400
    assert b"upload_mismatch" in sent[1]["body"]
    assert files_of(site) == []


def test_bytes_that_are_not_those_announced_keep_nothing(site: Site) -> None:
    grant = site.grant(CONTENT)
    answer = site.send(grant, CONTENT.upper())

    assert (answer.status_code, answer.json()["error"]) == (400, "upload_mismatch")
    assert files_of(site) == []
    assert site.send(grant, CONTENT).status_code == 201


@pytest.mark.parametrize("pieces", [[], [b"a pic"], [b"a", b" pic", b"ture of a do"]])
def test_a_client_that_leaves_leaves_nothing(site: Site, pieces: list[bytes]) -> None:
    grant = site.grant(CONTENT)
    messages: list[Json] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    sent = put_messages(site, grant, [*messages, {"type": "http.disconnect"}], len(CONTENT))

    assert sent == []
    assert files_of(site) == []
    assert site.platform.pipeline.event_queue.depth() == 0
    assert site.send(grant, CONTENT).status_code == 201


def test_a_client_that_falls_silent_is_let_go(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumitag.entrypoints.http.routes_uploads._SILENCE_S", 0.05)
    monkeypatch.setattr("lumitag.entrypoints.http.http_errors._LINGER_S", 0.05)
    grant = site.grant(CONTENT)
    headers = [(b"host", b"127.0.0.1:8000"), (b"content-type", b"image/jpeg"), (b"content-length", b"18")]
    sent: list[Any] = []

    async def receive() -> Json:
        await asyncio.sleep(10)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(site.app(put_scope(grant, headers), receive, send), 5))

    assert sent[0]["status"] == 408
    assert files_of(site) == []


def test_many_small_pieces_are_one_image(site: Site) -> None:
    content = random.Random(1).randbytes(3_000_000)
    grant = site.grant(content)
    pieces = [content[at : at + 60_000] for at in range(0, len(content), 60_000)]
    messages: list[Json] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    sent = put_messages(site, grant, [*messages, {"type": "http.request", "body": b""}], len(content))

    assert sent[0]["status"] == 201
    stored = site.client.get(f"/images/{grant['key']}/content").content
    assert hashlib.sha256(stored).digest() == hashlib.sha256(content).digest()


def test_an_upload_without_a_length_is_refused(site: Site) -> None:
    grant = site.grant(CONTENT)
    headers = [(b"host", b"127.0.0.1:8000"), (b"content-type", b"image/jpeg"), (b"transfer-encoding", b"chunked")]
    sent: list[Any] = []

    async def receive() -> Json:
        return {"type": "http.request", "body": CONTENT, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(site.app(put_scope(grant, headers), receive, send))

    assert sent[0]["status"] == 411
    assert (b"connection", b"close") in sent[0]["headers"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_a_compressed_upload_is_refused(site: Site, encoding: str) -> None:
    grant = site.grant(CONTENT)
    grant["headers"]["Content-Encoding"] = encoding

    assert site.send(grant, CONTENT).status_code == 415
    assert files_of(site) == []


@pytest.mark.parametrize("path", ["x", "..%2f..%2fetc", "0" * 26, "%00", "C" * 26])
def test_what_was_never_granted_is_not_there(site: Site, path: str) -> None:
    answer = site.client.put(f"/objects/{path}", content=CONTENT, headers={"Content-Type": "image/jpeg"})

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("fields", "code", "error"),
    [
        ({"contentType": "image/svg+xml"}, 415, "unsupported_image_type"),
        ({"contentType": "text/html"}, 415, "unsupported_image_type"),
        ({"size": 15_000_001}, 413, "upload_too_large"),
        ({"size": 10**15}, 413, "upload_too_large"),
        ({"size": 0}, 400, "invalid_request"),
        ({"size": True}, 400, "invalid_request"),
        ({"sha256": "zz"}, 400, "invalid_request"),
    ],
)
def test_what_would_be_refused_gets_no_grant(site: Site, fields: Json, code: int, error: str) -> None:
    body = {"fileName": "a.jpg", "contentType": "image/jpeg", "size": 5, **fields}
    answer = site.client.post("/generate-upload-url", json=body)

    assert (answer.status_code, answer.json()["error"]) == (code, error)


@pytest.mark.parametrize(("error", "code"), [(StoreFull(), 507), (StoreUnavailable(), 503)])
def test_a_store_that_cannot_take_it_says_when_to_try_again(site: Site, error: Exception, code: int) -> None:
    class Full:
        def check_grant(self, **_request: object) -> None:
            return

        def receive(self, key: str) -> Any:
            raise error

    app = create_app(replace(site.platform, uploads=Full()), site.settings, site.feed)
    client = httpx.Client(transport=InProcess(app), base_url=ADDRESS)
    answer = client.put(f"/objects/{new_key()}", content=CONTENT, headers={"Content-Type": "image/jpeg"})

    assert answer.status_code == code
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a\x00b.jpg",
        "\u202egpj.exe",
        "a" * 4000,
        "",
        "CON",
        "-rf",
        "d\u00e9j\u00e0 vu.jpg",
        'a"b\\c%0d.jpg',
    ],
)
def test_a_file_name_is_only_data(site: Site, name: str) -> None:
    key = site.upload(CONTENT, fileName=name)
    answer = site.client.get(f"/images/{key}/content")
    disposition = answer.headers["content-disposition"]

    assert answer.content == CONTENT
    assert disposition.startswith("attachment; filename=")
    assert "\r" not in disposition
    assert len(site.client.get(f"/images/{key}").json()["fileName"].encode()) <= 255
    assert {path.name for path in files_of(site)} == {key}
