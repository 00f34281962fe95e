"""The same application behind a real server and real connections: what only a socket can show."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from lumitag.domain import Json
from lumitag.entrypoints import server
from lumitag.entrypoints.http import guard, request_heads
from lumitag.entrypoints.http.request_heads import BoundedHeads
from tests.entrypoints.conftest import Site, open_site


class Served:
    """A site behind uvicorn on a free port of this machine."""

    def __init__(self, folder: Path) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.site: Site = open_site(folder, port=self.port)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}")
        self.site.client = self.client
        config = uvicorn.Config(
            self.site.app,
            http=BoundedHeads,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=10,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()
        self._listener = listener

    def close(self) -> None:
        """Stop as `lumitag up` does: end the streams, then the server, then the store."""
        self.client.close()
        self.site.feed.close()
        self._server.should_exit = True
        self._thread.join(15)
        self._listener.close()
        self.site.platform.close()
        assert not self._thread.is_alive()

    def connect(self) -> socket.socket:
        """Return a connection that sends whatever the test wants."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A real server over real stores."""
    running = Served(tmp_path)
    yield running
    running.close()


def put_head(served: Served, grant: Json, length: int, *more: str) -> bytes:
    url = urlsplit(grant["uploadUrl"])
    lines = [
        f"PUT {url.path}?{url.query} HTTP/1.1",
        f"Host: 127.0.0.1:{served.port}",
        "Content-Type: image/jpeg",
        f"Content-Length: {length}",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer_on(connection: socket.socket) -> bytes:
    """Return everything up to the end of the connection."""
    found = bytearray()
    while piece := connection.recv(65536):
        found += piece
    return bytes(found)


def eventually(promise: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not promise():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def drafts(served: Served) -> list[Path]:
    return [path for path in (served.site.settings.data / "tmp").rglob("*") if path.is_file()]


def test_an_image_goes_all_the_way(served: Served) -> None:
    key = served.site.recognized(b"a picture" * 100_000)
    answer = served.client.post("/detect-labels", json={"key": key, "waitSeconds": 10})

    assert answer.json()["labels"] == ["Dog", "Cat"]
    assert served.client.get(f"/images/{key}/content").content == b"a picture" * 100_000


def test_a_broken_connection_in_the_middle_of_an_upload_keeps_nothing(served: Served) -> None:
    content = b"x" * 5_000_000
    grant = served.site.grant(content)
    with served.connect() as connection:
        connection.sendall(put_head(served, grant, len(content)) + content[:3_000_000])
        eventually(lambda: bool(drafts(served)))

    eventually(lambda: not drafts(served))
    assert served.site.send(grant, content).status_code == 201


def test_ten_gigabytes_are_refused_before_they_come(served: Served) -> None:
    grant = served.site.grant(b"a picture")
    with served.connect() as connection:
        connection.sendall(put_head(served, grant, 10_000_000_000))
        head = connection.recv(65536)

    assert head.startswith(b"HTTP/1.1 400")
    assert b"connection: close" in head.lower()


def test_a_client_that_sends_all_before_it_reads_still_learns_why_it_was_refused(served: Served) -> None:
    """Without lingering the kernel would reset the connection and throw the answer away."""
    content = b"x" * 8_000_000
    grant = served.site.grant(content)
    grant["uploadUrl"] = grant["uploadUrl"][:-1] + ("0" if grant["uploadUrl"][-1] != "0" else "1")
    with served.connect() as connection:
        connection.sendall(put_head(served, grant, len(content)))
        for at in range(0, len(content), 1_000_000):
            connection.sendall(content[at : at + 1_000_000])
            time.sleep(0.02)
        answer = answer_on(connection)

    assert answer.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in answer.lower()
    assert b"upload_forbidden" in answer


def test_who_waits_for_a_word_before_sending_gets_the_refusal_instead(served: Served) -> None:
    grant = served.site.grant(b"a picture")
    with served.connect() as connection:
        connection.sendall(put_head(served, grant, 8, "Expect: 100-continue"))
        head = connection.recv(65536)

    assert head.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /images HTTP/1.1\r\n\r\n",
        "GET /images HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.test\r\n\r\n",
        "GET /images HTTP/1.0\r\n\r\n",
        "GET http://evil.test/images HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        "POST /relabel HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}",
        "POST /relabel HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: x\r\n\r\n",
        "GET /ima ges HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        "GET /images HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-A : b\r\n\r\n",
        "\x00\x01\x02\r\n\r\n",
    ],
)
def test_what_is_no_proper_request_is_refused(served: Served, request_text: str) -> None:
    with served.connect() as connection:
        connection.sendall(request_text.format(port=served.port).encode())
        connection.shutdown(socket.SHUT_WR)
        status = answer_on(connection)[9:12]

    assert status in {b"400", b"421", b"415", b""}


def chunked_post(served: Served) -> bytes:
    """Return the head of a POST whose size is not announced."""
    lines = (
        "POST /relabel HTTP/1.1",
        f"Host: 127.0.0.1:{served.port}",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_the_server_bounds_the_heads_of_requests(served: Served) -> None:
    config = server._uvicorn_config(served.site.platform, served.site.settings, served.site.feed)

    assert config.http is BoundedHeads


@pytest.mark.parametrize("more", [b"a" * 65_536, b"X-A: b\r\n" * 8192], ids=["one piece", "many lines"])
@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX-A: ", b"2\r\n{}\r\n0\r\n"])
def test_a_head_without_an_end_is_cut(served: Served, start: bytes, more: bytes) -> None:
    head = chunked_post(served) if start.startswith(b"2") else b""  # What follows a body is a head, too.

    with served.connect() as connection, pytest.raises((BrokenPipeError, ConnectionResetError)):
        connection.sendall(head + start + more * 1024)  # 64 MB, far more than all the buffers in between


def test_a_large_head_is_taken(served: Served) -> None:
    assert served.client.get("/healthz", headers={"X-A": "a" * 60_000}).status_code == 200


def test_a_body_in_many_small_chunks_is_taken(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(chunked_post(served))
        connection.sendall(b"1\r\n{\r\n" + b"1\r\n \r\n" * 30_000 + b"1\r\n}\r\n0\r\n\r\n")
        status = answer_on(connection)[9:12]

    assert status == b"200"


def test_a_header_after_the_body_counts_for_nothing(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(chunked_post(served))
        connection.sendall(b"2\r\n{}\r\n0\r\nHost: evil.test\r\nOrigin: http://evil.test\r\n\r\n")
        status = answer_on(connection)[9:12]

    assert status == b"200"


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: "])
def test_a_connection_on_which_no_request_comes_is_closed(
    served: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(request_heads, "HEAD_S", 0.2)

    with served.connect() as connection:
        connection.sendall(sent)
        answer_on(connection)  # It ends, or this waits too long.


def test_a_body_that_does_not_come_is_not_waited_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_BODY_S", 0.2)

    with served.connect() as connection:
        connection.sendall(chunked_post(served) + b"1\r\n{\r\n")
        answer = answer_on(connection)

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_too_slow" in answer


def test_an_answer_that_takes_long_is_waited_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_heads, "HEAD_S", 0.2)
    monkeypatch.setattr(guard, "_BODY_S", 0.2)
    key = served.site.upload()

    assert served.client.post("/detect-labels", json={"key": key, "waitSeconds": 1}).status_code == 202


def test_the_page_listens_until_the_server_stops(served: Served) -> None:
    heard: list[str] = []

    def listen() -> None:
        with httpx.stream("GET", f"http://127.0.0.1:{served.port}/events", timeout=10) as answer:
            heard.extend(line for line in answer.iter_lines() if line.startswith("event"))

    listening = threading.Thread(target=listen)
    listening.start()
    eventually(lambda: bool(served.site.feed._listeners))
    served.site.recognized()
    served.site.feed.close()
    listening.join(10)

    assert not listening.is_alive()
    assert set(heard) == {"event: image"}


def test_a_page_that_is_closed_makes_room_for_another(served: Served) -> None:
    with httpx.stream("GET", f"http://127.0.0.1:{served.port}/events", timeout=10):
        eventually(lambda: len(served.site.feed._listeners) == 1)

    eventually(lambda: not served.site.feed._listeners)
