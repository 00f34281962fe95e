"""WebhookNotifier: what it calls, whom it never reaches, and what a bad receiver costs."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from lumitag.adapters.local import _connection, _http
from lumitag.adapters.local._addresses import Target
from lumitag.adapters.local._connection import Deadline
from lumitag.adapters.local.notifier import WebhookNotifier, verify
from lumitag.domain import Channel, Subscription, time_from_ms, time_to_json
from lumitag.errors import LumitagError, NotificationFailed, NotificationRefused
from lumitag.events import NotificationDue
from tests.contracts.notifier_receivers import (
    BASE_URL,
    Script,
    ScriptedServer,
    WebSink,
    canary,
    dripping,
    make_certificate,
    notification,
    read_request,
    scripted_server,
    silent,
    subscription,
    web_sink,
)

PATIENCE_S = 0.2
CLOCK_S = 1_790_000_000.0


def caller(kind: type[WebhookNotifier] = WebhookNotifier, **options: Any) -> WebhookNotifier:
    defaults: dict[str, Any] = {
        "allow_private": True,
        "base_url": BASE_URL,
        "timeout_s": 10.0,
        "user_agent": "Lumitag/test",
    }
    return kind(**(defaults | {"clock": lambda: CLOCK_S} | options))


def at(url: str) -> Subscription:
    return subscription(Channel.WEBHOOK, url)


@pytest.fixture
def sink() -> Iterator[WebSink]:
    with web_sink() as sink:
        yield sink


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that anything in this process tries to connect to; only loopback is really tried."""
    seen: list[Any] = []
    connect = socket.socket.connect

    def recording(line: socket.socket, address: Any) -> None:
        seen.append(address[:2])
        if not address[0].startswith("127."):
            raise ConnectionRefusedError
        connect(line, address)

    monkeypatch.setattr(socket.socket, "connect", recording)
    return seen


# --- what a call says ---


def test_a_call_says_what_was_recognized(sink: WebSink) -> None:
    you = at(sink.url("/hook?token=1"))
    due = notification(you, "Cat", file_name="caf\u00e9.jpg", request_id="request-1234")
    caller().notify(you, [due])
    [call] = sink.calls
    image = due.image
    assert (call.method, call.path) == ("POST", "/hook?token=1")
    assert json.loads(call.body) == {
        "type": "image.recognized",
        "id": due.id,
        "timestamp": time_to_json(image.recognized_time),
        "data": {
            "key": due.key,
            "fileName": "caf\u00e9.jpg",
            "labels": ["Cat"],
            "details": [image.labels[0].to_json()],
            "modelVersion": "model-1",
            "recognizedTime": time_to_json(image.recognized_time),
            "url": f"{BASE_URL}/#/images/{due.key}",
            "thumbnailUrl": f"{BASE_URL}/images/{due.key}/thumbnail",
            "requestId": "request-1234",
        },
    }


def test_a_call_is_signed_as_standard_webhooks_says(sink: WebSink) -> None:
    you = at(sink.url())
    due = notification(you)
    caller().notify(you, [due])
    [call] = sink.calls
    assert call.headers["content-type"] == "application/json"
    assert call.headers["user-agent"] == "Lumitag/test"
    assert call.headers["webhook-id"] == due.id
    assert call.headers["webhook-timestamp"] == str(int(CLOCK_S))
    assert verify(you.secret, call.headers, call.body, CLOCK_S)


def test_the_host_header_names_the_host_and_its_port(sink: WebSink) -> None:
    you = at(f"http://hooks.lumitag.test:{sink.port}/")
    caller(resolve=lambda _host: ["127.0.0.1"]).notify(you, [notification(you)])
    assert sink.calls[0].headers["host"] == f"hooks.lumitag.test:{sink.port}"


def test_a_call_for_each_image_in_order_until_one_fails() -> None:
    answers = iter([b"HTTP/1.1 204 x\r\n\r\n", b"HTTP/1.1 500 x\r\n\r\n"])

    def script(line: socket.socket, over: threading.Event) -> None:
        answering(next(answers))(line, over)

    with scripted_server(script) as server:
        you = at(server.url())
        with pytest.raises(NotificationFailed):
            caller().notify(you, [notification(you) for _ in range(3)])
    assert server.connections == 2


def test_a_repetition_has_the_same_bytes_and_id(sink: WebSink) -> None:
    you = at(sink.url())
    due = notification(you)
    for clock_s in (CLOCK_S, CLOCK_S + 3600):
        caller(clock=lambda moment=clock_s: moment).notify(you, [due])
    first, second = sink.calls
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert verify(you.secret, second.headers, second.body, CLOCK_S + 3600)


def test_no_proxy_of_the_environment_is_asked(sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    with canary() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        you = at(sink.url())
        caller().notify(you, [notification(you)])
    assert (len(sink.calls), proxy.connections) == (1, 0)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_***", "whsec_c2hvcnQ="])
def test_without_a_secret_nobody_is_called(sink: WebSink, secret: str) -> None:
    you = Subscription("s", Channel.WEBHOOK, sink.url(), time_from_ms(0), secret=secret)
    with pytest.raises(NotificationRefused, match="secret"):
        caller().notify(you, [notification(you)])
    assert sink.calls == []


# --- what a bad receiver costs (R10) ---

STATUSES: dict[int, type[LumitagError] | None] = {
    200: None, 201: None, 202: None, 204: None, 299: None,
    300: NotificationFailed, 301: NotificationRefused, 302: NotificationFailed, 303: NotificationFailed,
    304: NotificationFailed, 307: NotificationFailed, 308: NotificationRefused,
    400: NotificationRefused, 401: NotificationRefused, 403: NotificationRefused, 404: NotificationRefused,
    405: NotificationRefused, 408: NotificationFailed, 410: NotificationRefused, 413: NotificationRefused,
    422: NotificationRefused, 425: NotificationFailed, 429: NotificationFailed, 451: NotificationRefused,
    500: NotificationFailed, 502: NotificationFailed, 503: NotificationFailed, 504: NotificationFailed,
    599: NotificationFailed,
}  # fmt: skip


def answering(answer: bytes) -> Script:
    """Read the request, then say `answer` and close."""

    def script(line: socket.socket, _over: threading.Event) -> None:
        read_request(line)
        line.sendall(answer)

    return script


def resetting(answer: bytes = b"") -> Script:
    """Read the request, say `answer` and reset the connection."""

    def script(line: socket.socket, _over: threading.Event) -> None:
        read_request(line)
        line.sendall(answer)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def flooding(line: socket.socket, over: threading.Event) -> None:
    """Answer with header lines that never end."""
    read_request(line)
    line.sendall(b"HTTP/1.1 500 x\r\n")
    while not over.is_set():
        line.sendall(b"x: " + b"y" * 60_000 + b"\r\n")


FAULTS: dict[str, tuple[Script, type[LumitagError] | None, str]] = {
    "hangs": (silent, NotificationFailed, "in time"),
    "one byte at a time": (dripping(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 30), NotificationFailed, "in time"),
    "endless 100 Continue": (dripping(b"HTTP/1.1 100 Continue\r\n\r\n" * 9), NotificationFailed, "in time"),
    "closes at once": (lambda _line, _over: None, NotificationFailed, "broke"),
    "closes without an answer": (answering(b""), NotificationFailed, "broke"),
    "resets without an answer": (resetting(), NotificationFailed, "broke"),
    "is no web server": (answering(b"220 mail.example.com ESMTP you@example.com\r\n"), NotificationFailed, "broke"),
    "headers that never end": (flooding, NotificationFailed, "500"),
    "slow body after 200": (dripping(b"", at_once=b"HTTP/1.1 200 OK\r\n\r\n"), None, ""),
    "reset after the headers of 200": (resetting(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"), None, ""),
    "reset after the headers of 503": (resetting(b"HTTP/1.1 503 no\r\n\r\n"), NotificationFailed, "503"),
    "claims a body of a terabyte": (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"), None, ""),
    "claims a chunk of minus five": (
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n"),
        None,
        "",
    ),
    "500 with a secret body": (
        answering(b"HTTP/1.1 500 secret\r\n\r\nsecret you@example.com"),
        NotificationFailed,
        "500",
    ),
}


def assert_costs(kind: type[WebhookNotifier], url: str, expected: type[LumitagError] | None, words: str = "") -> None:
    """The call ends in `expected` within ten times its patience, and says `words` but nothing of the answer."""
    started, outcome = time.monotonic(), None
    you = at(url)
    try:
        caller(kind, timeout_s=PATIENCE_S).notify(you, [notification(you, file_name="secret.jpg")])
    except LumitagError as error:
        outcome = error
    assert (type(outcome) if outcome else None) is expected
    assert time.monotonic() - started < 10 * PATIENCE_S
    assert re.search(words, str(outcome))
    assert not re.search("secret|example|whsec", str(outcome))


class Swallows(WebhookNotifier):
    def notify(self, *arguments: Any) -> None:
        with contextlib.suppress(LumitagError):
            super().notify(*arguments)


class Swaps(WebhookNotifier):
    def notify(self, *arguments: Any) -> None:
        try:
            super().notify(*arguments)
        except NotificationFailed as error:
            raise NotificationRefused(error.message) from error
        except NotificationRefused as error:
            raise NotificationFailed(error.message) from error
        else:
            raise NotificationFailed


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_delivered_failed_or_refused(sink: WebSink, status: int) -> None:
    sink.status = status
    assert_costs(WebhookNotifier, sink.url(), STATUSES[status])


@pytest.mark.parametrize("status", STATUSES)
def test_the_status_tests_catch_an_adapter_that_misjudges(sink: WebSink, status: int) -> None:
    sink.status = status
    with pytest.raises(AssertionError):
        assert_costs(Swaps, sink.url(), STATUSES[status])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_receiver_costs_one_attempt(fault: str) -> None:
    script, expected, words = FAULTS[fault]
    with scripted_server(script) as server:
        assert_costs(WebhookNotifier, server.url(), expected, words)


@pytest.mark.parametrize("mutant", [Swallows, Swaps])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_tests_catch_an_adapter_that_misjudges(fault: str, mutant: type[WebhookNotifier]) -> None:
    script, expected, words = FAULTS[fault]
    if mutant is Swallows and expected is None:
        return  # there is nothing to swallow
    with scripted_server(script) as server, pytest.raises(AssertionError):
        assert_costs(mutant, server.url(), expected, words)


@pytest.mark.parametrize("fault", ["hangs", "one byte at a time", "slow body after 200"])
def test_the_fault_tests_catch_a_missing_deadline(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_connection.Deadline, "cutting", lambda _self, _line: contextlib.nullcontext())
    script, expected, words = FAULTS[fault]
    with scripted_server(script) as server, pytest.raises(AssertionError):
        assert_costs(WebhookNotifier, server.url(), expected, words)


def test_a_receiver_that_is_not_there_costs_one_attempt() -> None:
    with scripted_server(silent) as server:
        pass
    assert_costs(WebhookNotifier, server.url(), NotificationFailed, "Nothing listens")


def test_a_name_that_does_not_exist_costs_one_attempt(connects: list[Any]) -> None:
    def unknown(_host: str) -> Sequence[str]:
        raise socket.gaierror

    you = at("https://hooks.example.com/")
    with pytest.raises(NotificationFailed, match="cannot be found"):
        caller(resolve=unknown).notify(you, [notification(you)])
    with pytest.raises(NotificationFailed):
        caller(resolve=lambda _host: []).notify(you, [notification(you)])
    assert connects == []


def test_a_name_lookup_that_hangs_is_cut(connects: list[Any]) -> None:
    over, you, started = threading.Event(), at("https://hooks.example.com/"), time.monotonic()
    with pytest.raises(NotificationFailed, match="in time"):
        caller(timeout_s=PATIENCE_S, resolve=lambda _host: ["8.8.8.8"] * over.wait(3.0)).notify(
            you, [notification(you)]
        )
    assert time.monotonic() - started < 10 * PATIENCE_S
    assert connects == []
    over.set()


def test_a_silent_first_address_leaves_time_for_the_second(sink: WebSink) -> None:
    you = at(f"http://hooks.lumitag.test:{sink.port}/")
    caller(resolve=lambda _host: ["127.1.2.3", "127.0.0.1"]).notify(you, [notification(you)])
    assert len(sink.calls) == 1


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("120", 120.0), ("0", 0.0), ("999999999999", 86_400.0), ("-1", None), ("soon", None), ("\u00b2", None),
        (format_datetime(time_from_ms(int(CLOCK_S + 60) * 1000), usegmt=True), 60.0),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0), ("Mon, 01 Jan 2001 00:00:00 -0000", 0.0),
        ("Mon, 99 Jan 0000 00:00:00 +9999", None),
    ],
)  # fmt: skip
def test_a_failure_carries_how_long_the_receiver_asks_to_wait(sink: WebSink, header: str, wait_s: float | None) -> None:
    sink.status, sink.headers = 429, {"Retry-After": header}
    you = at(sink.url())
    with pytest.raises(NotificationFailed) as failure:
        caller().notify(you, [notification(you)])
    assert vars(failure.value)["retry_after_s"] == wait_s


# --- at most 64 KiB of an answer ---


def bytes_taken(kind: type[WebhookNotifier]) -> int:
    """Offer a gigabyte to a caller and return how many bytes it read through its own hands."""
    read = 0

    class Counting(_http._FirstBytes):
        def readinto(self, buffer: Any) -> int:
            nonlocal read
            count = super().readinto(buffer)
            read += count
            return count

    def endless(line: socket.socket, over: threading.Event) -> None:
        read_request(line)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not over.is_set():
            line.sendall(b"x" * 65536)

    with scripted_server(endless) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(_http, "_FirstBytes", Counting)
        you = at(server.url())
        caller(kind, timeout_s=1.0).notify(you, [notification(you)])
    return read


def test_a_huge_answer_is_read_no_further_than_64_kib() -> None:
    assert bytes_taken(WebhookNotifier) == 64 * 1024


def test_the_size_test_catches_a_missing_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http, "_MOST_ANSWER_BYTES", 10_000_000)
    assert bytes_taken(WebhookNotifier) > 64 * 1024


# --- whom it never reaches (T11) ---

DISGUISED_URLS = [
    "https://127.0.0.1:{port}/", "https://127.1:{port}/", "https://127.0.1:{port}/", "https://2130706433:{port}/",
    "https://017700000001:{port}/", "https://0x7f000001:{port}/", "https://0x7f.0.0.1:{port}/",
    "https://0x7f.1:{port}/",
    "https://0177.0.0.1:{port}/", "https://0177.1:{port}/", "https://127.0.0.01:{port}/", "https://127.0.0.1.:{port}/",
    "https://127.0.0.1..:{port}/", "https://127.000.000.001:{port}/", "https://0:{port}/", "https://0.0.0.0:{port}/",
    "https://[::1]:{port}/", "https://[::]:{port}/", "https://[0:0:0:0:0:0:0:1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/", "https://[::127.0.0.1]:{port}/", "https://[64:ff9b::127.0.0.1]:{port}/",
    "https://[2002:7f00:1::]:{port}/", "https://[fe80::1%25eth0]:{port}/", "https://[::1%25lo]:{port}/",
    "https://[v1.x]:{port}/",
    "https://[::1]evil.example:{port}/", "https://evil.example[::1]:{port}/", "https://::1:{port}/",
    "https://localhost:{port}/", "https://LOCALHOST:{port}/", "https://localhost.:{port}/",
    "https://hooks.localhost:{port}/",
    "https://user@127.0.0.1:{port}/", "https://hooks.example.com@127.0.0.1:{port}/",
    "https://hooks.example.com:443@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@hooks.example.com/", "https://127.0.0.1:{port}#@hooks.example.com/",
    "https://127.0.0.1:{port}?@x/",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{port}/", "https://\uff11\uff12\uff17.0.0.1:{port}/",
    "https://127\u30020.0.1:{port}/",
    "https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3:{port}/",
    "https://hooks.example.com\u2044@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\r\nHost: hooks.example.com/", "https:// 127.0.0.1:{port}/", "https://127.0.0.1\t:{port}/",
    "\thttps://127.0.0.1:{port}/", "https:127.0.0.1:{port}", "https:/127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/", "//127.0.0.1:{port}/",
    "http://hooks.example.com:{port}/", "ftp://hooks.example.com:{port}/", "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "https://hooks.example.com:{port}/", "https://xn--n3h.example:{port}/", "https://127.0.0.1.nip.io:{port}/",
]  # fmt: skip
FORBIDDEN_ADDRESSES = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.0.8", "0.0.0.0",
    "0.1.2.3",
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.88.99.1",
    "192.31.196.1", "192.52.193.1", "192.175.48.1", "2620:4f:8000::1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "2001:10::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%lo",
    "fec0::1",
    "ff02::1", "4000::1", "localhost", "127.1", "2130706433", "",
]  # fmt: skip

PRIVATE_ADDRESSES = {
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "100.127.255.255",
    "::1", "fc00::1",
}  # fmt: skip


def assert_unreached(kind: type[WebhookNotifier], url: str, addresses: Sequence[str], connects: list[Any]) -> None:
    """A call is refused, and not one connection is tried, to whomever."""
    before, you = len(connects), at(url)
    with contextlib.suppress(NotificationFailed, NotificationRefused):
        caller(kind, allow_private=False, timeout_s=1.0, resolve=lambda _host: addresses).notify(
            you, [notification(you)]
        )
    assert connects[before:] == []


class Trusting(WebhookNotifier):
    """A mutant that connects wherever the name leads."""

    def _vetted(self, target: Target, deadline: Deadline) -> Sequence[str]:
        return deadline.wait_for(self._resolve, target.host)


@pytest.fixture
def bird() -> Iterator[ScriptedServer]:
    with canary() as bird:
        yield bird


@pytest.mark.parametrize("url", DISGUISED_URLS)
def test_no_spelling_of_this_machine_is_reached(url: str, bird: ScriptedServer, connects: list[Any]) -> None:
    assert_unreached(WebhookNotifier, url.format(port=bird.port), ["127.0.0.1"], connects)
    assert bird.connections == 0


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
def test_no_forbidden_address_behind_a_name_is_reached(address: str, connects: list[Any]) -> None:
    assert_unreached(WebhookNotifier, "https://hooks.example.com/", [address], connects)
    assert_unreached(WebhookNotifier, "https://hooks.example.com/", ["8.8.8.8", address], connects)


@pytest.mark.parametrize("address", [address for address in FORBIDDEN_ADDRESSES if address not in PRIVATE_ADDRESSES])
def test_metadata_and_reserved_addresses_are_forbidden_even_where_private_ones_are_not(
    address: str, connects: list[Any]
) -> None:
    you = at("http://hooks.example.com:9/")
    with pytest.raises(NotificationRefused):
        caller(resolve=lambda _host: [address]).notify(you, [notification(you)])
    assert connects == []


def test_the_reach_tests_catch_an_adapter_without_a_deny_list(bird: ScriptedServer, connects: list[Any]) -> None:
    for address in ("127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1"):
        with pytest.raises(AssertionError):
            assert_unreached(Trusting, f"https://hooks.example.com:{bird.port}/", [address], connects)
    assert bird.connections == 1


def test_a_public_address_is_tried(connects: list[Any]) -> None:
    you = at("https://hooks.example.com/")
    with pytest.raises(NotificationFailed):
        caller(allow_private=False, resolve=lambda _host: ["8.8.8.8", "2606:4700::1111"]).notify(
            you, [notification(you)]
        )
    assert connects == [("8.8.8.8", 443), ("2606:4700::1111", 443)]


@pytest.mark.parametrize("address", sorted(PRIVATE_ADDRESSES))
def test_a_private_address_is_tried_where_that_is_allowed(address: str, connects: list[Any]) -> None:
    you = at("http://nas.lumitag.test:9/")
    with pytest.raises(NotificationFailed):
        caller(resolve=lambda _host: [address]).notify(you, [notification(you)])
    assert connects == [(address, 9)]


def test_beyond_the_private_network_a_call_needs_tls_even_where_private_is_allowed(connects: list[Any]) -> None:
    for url, words in [("http://hooks.example.com/", "https"), ("https://hooks.example.com:25/", "port")]:
        you = at(url)
        with pytest.raises(NotificationRefused, match=words):
            caller(resolve=lambda _host: ["8.8.8.8"]).notify(you, [notification(you)])
    assert connects == []


def changing_its_mind() -> Callable[[str], Sequence[str]]:
    """Resolve to a public address when asked first and to this machine ever after."""
    answers = iter([["8.8.8.8"]])
    return lambda _host: next(answers, ["127.0.0.1"])


class AsksTwice(WebhookNotifier):
    """A mutant that vets one answer and connects to the next."""

    def _vetted(self, target: Target, deadline: Deadline) -> Sequence[str]:
        super()._vetted(target, deadline)
        return deadline.wait_for(self._resolve, target.host)


def assert_rebinding_fails(kind: type[WebhookNotifier], bird: ScriptedServer, connects: list[Any]) -> None:
    you = at(f"https://hooks.example.com:{bird.port}/")
    with contextlib.suppress(LumitagError):
        caller(kind, allow_private=False, resolve=changing_its_mind()).notify(you, [notification(you)])
    assert (connects, bird.connections) == ([("8.8.8.8", bird.port)], 0)


def test_the_vetted_address_is_the_one_connected_to(bird: ScriptedServer, connects: list[Any]) -> None:
    assert_rebinding_fails(WebhookNotifier, bird, connects)


def test_the_rebinding_test_catches_an_adapter_that_asks_twice(bird: ScriptedServer, connects: list[Any]) -> None:
    with pytest.raises(AssertionError):
        assert_rebinding_fails(AsksTwice, bird, connects)


class FollowsRedirects(WebhookNotifier):
    """A mutant that does what most HTTP clients do by default."""

    def _post(self, target: Target, headers: dict[str, str], body: bytes) -> http.client.HTTPResponse:
        answer = super()._post(target, headers, body)
        location = answer.getheader("Location")
        if location is None:
            return answer
        host, _, port = location.removeprefix("http://").rstrip("/").partition(":")
        return super()._post(Target("http", host, int(port or 80), "/"), headers, body)

    def _vetted(self, target: Target, deadline: Deadline) -> Sequence[str]:
        return [target.host]


def assert_not_redirected(kind: type[WebhookNotifier], sink: WebSink, to: str, connects: list[Any]) -> None:
    sink.headers = {"Location": to}
    you = at(sink.url())
    with pytest.raises((NotificationFailed, NotificationRefused)):
        caller(kind).notify(you, [notification(you)])
    assert connects == [(sink.host, sink.port)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["http://169.254.169.254/", "http://127.0.0.1:1/"])
def test_no_redirect_is_followed(sink: WebSink, connects: list[Any], status: int, to: str) -> None:
    sink.status = status
    assert_not_redirected(WebhookNotifier, sink, to, connects)


def test_the_redirect_test_catches_an_adapter_that_follows(sink: WebSink, connects: list[Any]) -> None:
    sink.status = 302
    with pytest.raises(AssertionError):
        assert_not_redirected(FollowsRedirects, sink, "http://169.254.169.254/", connects)


# --- TLS ---


class TrustsEveryone(WebhookNotifier):
    """A mutant that does not look at certificates."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE


def assert_certificate_counts(kind: type[WebhookNotifier], sink: WebSink, host: str, *, trusted: bool) -> None:
    you = at(f"https://{host}:{sink.port}/")
    outcome = None
    try:
        caller(kind, resolve=lambda _host: ["127.0.0.1"]).notify(you, [notification(you)])
    except NotificationFailed as error:
        outcome = error
    assert (outcome is None, len(sink.calls)) == (trusted, int(trusted))
    assert outcome is None or "certificate is not valid" in outcome.message


@pytest.mark.parametrize(
    ("host", "trusted"), [("hooks.lumitag.test", True), ("127.0.0.1", False), ("x.lumitag.test", False)]
)
def test_the_certificate_must_be_for_the_name_not_for_the_address(
    host: str, trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, context = make_certificate(tmp_path, "DNS:hooks.lumitag.test")
    names: list[str | None] = []
    context.sni_callback = lambda _line, name, _context: names.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with web_sink(tls=context) as sink:
        assert_certificate_counts(WebhookNotifier, sink, host, trusted=trusted)
    assert names == [None if host == "127.0.0.1" else host]


def test_an_unknown_certificate_is_refused_and_a_trusting_adapter_caught(tmp_path: Path) -> None:
    _, context = make_certificate(tmp_path, "DNS:hooks.lumitag.test")
    with web_sink(tls=context) as sink:
        assert_certificate_counts(WebhookNotifier, sink, "hooks.lumitag.test", trusted=False)
        with pytest.raises(AssertionError):
            assert_certificate_counts(TrustsEveryone, sink, "hooks.lumitag.test", trusted=False)


def test_a_receiver_that_hangs_in_the_handshake_is_cut() -> None:
    with scripted_server(silent) as server:
        assert_costs(WebhookNotifier, f"https://{server.host}:{server.port}/", NotificationFailed, "in time")


def test_a_receiver_without_tls_is_told_apart() -> None:
    with scripted_server(lambda line, _over: line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        assert_costs(WebhookNotifier, f"https://{server.host}:{server.port}/", NotificationFailed, "TLS")


def test_many_images_all_arrive_though_a_third_of_the_calls_fail(sink: WebSink) -> None:
    you = at(sink.url())
    waiting = [notification(you) for _ in range(60)]
    told: set[str] = set()
    calls = 0
    webhook = caller()
    while waiting:
        due: NotificationDue = waiting.pop(0)
        calls += 1
        sink.status = 503 if calls % 3 == 0 else 204
        try:
            webhook.notify(you, [due])
            told.add(due.id)
        except NotificationFailed:
            waiting.append(due)
    assert {c.headers["webhook-id"] for c in sink.calls} == told
    assert len(told) == 60
