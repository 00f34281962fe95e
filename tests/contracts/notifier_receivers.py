"""Real receivers on loopback for the notifier tests: mail servers, web servers, and faulty ones of both kinds."""

from __future__ import annotations

import contextlib
import email
import email.policy
import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from lumitag.domain import Channel, Label, Subscription, new_key, now
from lumitag.events import ImageRecognized, NotificationDue

BASE_URL = "http://lumitag.test:8000"
WAIT_S = 10.0

Script = Callable[[socket.socket, threading.Event], None]


def subscription(channel: Channel, address: str, **fields: Any) -> Subscription:
    """Return a subscription as it may stand in the store, its address not checked."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" if channel is Channel.WEBHOOK else ""
    return Subscription("5" * 32, channel, address, now(), secret=secret, **fields)


def notification(to: Subscription, *names: str, file_name: str = "cat.jpg", request_id: str = "") -> NotificationDue:
    """Return what `to` is due for a new image with labels `names` at 90 percent and `Faint` at 40 percent."""
    labels = (*(Label(name, f"test:{name}", 90.0) for name in names or ("Cat",)), Label("Faint", "test:faint", 40.0))
    return NotificationDue.of(to, ImageRecognized(new_key(), file_name, labels, "model-1", now(), request_id))


@dataclass
class MailSink:
    """A mail server that keeps what it takes. `replies` overrides its answer to RCPT or DATA."""

    replies: dict[str, str] = field(default_factory=dict)
    envelopes: list[Envelope] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    host: str = "127.0.0.1"
    port: int = 0

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.replies.get("RCPT", "250 OK")

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        reply = self.replies.get("DATA", "250 OK")
        if reply.startswith("250"):
            self.envelopes.append(envelope)
        return reply

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, login: Any) -> AuthResult:
        assert isinstance(login, LoginPassword)
        self.logins.append((login.login, login.password))
        return AuthResult(success=login.password == b"right", handled=False)

    @property
    def mails(self) -> list[EmailMessage]:
        return [parsed(envelope) for envelope in self.envelopes]


def parsed(envelope: Envelope) -> EmailMessage:
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


class _OnFreePort(Controller):
    """aiosmtpd's server on a socket that is bound already, because it cannot say which free port it took."""

    listener: socket.socket

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self.listener, ssl=self.ssl_context)


@contextlib.contextmanager
def mail_sink(**options: Any) -> Iterator[MailSink]:
    """Run a MailSink. `options` are aiosmtpd's; `replies` is the sink's."""
    sink = MailSink(replies=options.pop("replies", {}))
    if options.pop("login", False):
        options |= {"authenticator": sink.authenticate, "auth_require_tls": False}
    listener = socket.create_server((sink.host, 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its connections inherit it and answer at once
    sink.port = listener.getsockname()[1]
    controller = _OnFreePort(sink, sink.host, sink.port, server_hostname="sink.test", **options)
    controller.listener = listener
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


@dataclass
class Call:
    """One HTTP request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebSink:
    """A web server that keeps what it is asked and answers `status` with `headers` and `body`."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    calls: list[Call] = field(default_factory=list)
    host: str = "127.0.0.1"
    port: int = 0

    def url(self, path: str = "/hook") -> str:
        return f"http://{self.host}:{self.port}{path}"


class _Recording(http.server.BaseHTTPRequestHandler):
    def __init__(self, sink: WebSink, *arguments: Any) -> None:
        self._sink = sink
        super().__init__(*arguments)

    def do_POST(self) -> None:  # http.server's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._sink.calls.append(Call(self.command, self.path, headers, body))
        self.send_response(self._sink.status)
        for name, value in self._sink.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self._sink.body)

    do_GET = do_POST  # noqa: N815  # http.server's name

    def log_message(self, *_arguments: Any) -> None:
        pass


class _Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, *_arguments: Any) -> None:
        """Say nothing about a caller who refuses the certificate."""


@contextlib.contextmanager
def web_sink(*, tls: ssl.SSLContext | None = None, **fields: Any) -> Iterator[WebSink]:
    """Run a WebSink with these `fields`."""
    sink = WebSink(**fields)
    with _Quiet((sink.host, sink.port), partial(_Recording, sink)) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        sink.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join(WAIT_S)


@dataclass
class ScriptedServer:
    """Plays `script` to everyone who connects and counts them."""

    script: Script
    port: int = 0
    host: str = "127.0.0.1"
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/hook") -> str:
        return f"http://{self.host}:{self.port}{path}"

    def play(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError), line:
            self.script(line, self.over)

    def accept(self, listener: socket.socket, players: list[threading.Thread]) -> None:
        while not self.over.is_set():
            with contextlib.suppress(TimeoutError):
                line, _ = listener.accept()
                line.settimeout(WAIT_S)
                self.connections += 1
                players.append(threading.Thread(target=self.play, args=(line,)))
                players[-1].start()


@contextlib.contextmanager
def scripted_server(script: Script, host: str = "127.0.0.1", port: int = 0) -> Iterator[ScriptedServer]:
    """Run a ScriptedServer."""
    server = ScriptedServer(script, host=host)
    players: list[threading.Thread] = []
    with socket.create_server((host, port)) as listener:
        listener.settimeout(0.02)
        server.port = listener.getsockname()[1]
        thread = threading.Thread(target=server.accept, args=(listener, players))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            for running in (thread, *players):
                running.join(WAIT_S)


@contextlib.contextmanager
def canary() -> Iterator[ScriptedServer]:
    """Run a server that nobody may reach, on a port that a webhook may use."""
    for port in range(8000, 8100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            break
    with scripted_server(lambda line, _over: line.sendall(b"HTTP/1.1 204 caught\r\n\r\n"), port=port) as server:
        yield server


def silent(_line: socket.socket, over: threading.Event) -> None:
    """Take the connection and never say a word, for ten times the patience of the tests."""
    over.wait(3.0)


def dripping(answer: bytes, at_once: bytes = b"") -> Script:
    """Say `at_once`, then `answer` one byte at a time, then go on with nothing useful."""

    def script(line: socket.socket, over: threading.Event) -> None:
        line.sendall(at_once)
        for byte in answer + b"x" * 100:
            line.sendall(bytes([byte]))
            if over.wait(0.03):
                return

    return script


def smtp_script(**replies: bytes | None) -> Script:
    """Speak SMTP with these replies, by verb (`GREETING`, `EHLO`, `MAIL`, `RCPT`, `DATA`, `BODY`, `QUIT`).

    None drops the connection; an empty reply is silence.
    """
    table = {"GREETING": b"220 hi\r\n", "DATA": b"354 go on\r\n", "QUIT": b"221 bye\r\n", **replies}

    def script(line: socket.socket, over: threading.Event) -> None:
        with line.makefile("rb") as lines:
            verb = "GREETING"
            while _say(line, table.get(verb, b"250 OK\r\n"), over):
                verb = _read_body(lines) if verb == "DATA" and "DATA" not in replies else _read_verb(lines)
                if not verb:
                    return

    return script


def _say(line: socket.socket, reply: bytes | None, over: threading.Event) -> bool:
    if reply is None:
        return False
    if not reply:
        over.wait(3.0)
        return False
    line.sendall(reply)
    return True


def _read_verb(lines: Any) -> str:
    words = lines.readline().split()
    return words[0].decode("latin-1").upper() if words else ""


def _read_body(lines: Any) -> str:
    while (text := lines.readline()) not in {b".\r\n", b""}:
        pass
    return "BODY" if text else ""


def read_request(line: socket.socket) -> bytes:
    """Read one HTTP request off `line`, its body included."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += line.recv(65536)
    head, _, body = request.partition(b"\r\n\r\n")
    length = next(int(h.split(b":")[1]) for h in head.splitlines() if h.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += line.recv(65536)
    return head + b"\r\n\r\n" + body


def make_certificate(folder: Path, *names: str) -> tuple[Path, ssl.SSLContext]:
    """Return a new self-signed certificate for `names` (`DNS:...`, `IP:...`) and the context of its server."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
        "30",
         "-subj", "/CN=lumitag.test", "-addext", f"subjectAltName={','.join(names)}",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return certificate, context
