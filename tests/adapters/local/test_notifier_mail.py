"""SMTPNotifier: what arrives at a real mail server, what strangers cannot put into it, and what a bad server costs."""

from __future__ import annotations

import contextlib
import email
import itertools
import re
import smtplib
import socket
import time
from collections.abc import Iterator
from email.message import Message
from email.policy import compat32
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lumitag.adapters.local import _connection, _smtp, notifier
from lumitag.adapters.local.notifier import SMTPNotifier
from lumitag.domain import Channel, Subscription
from lumitag.errors import InvalidSettings, LumitagError, NotificationFailed, NotificationRefused
from lumitag.events import NotificationDue
from tests.contracts.notifier_receivers import (
    BASE_URL,
    MailSink,
    Script,
    dripping,
    mail_sink,
    make_certificate,
    notification,
    scripted_server,
    silent,
    smtp_script,
    subscription,
)

YOU = subscription(Channel.MAIL, "you@example.com")
PATIENCE_S = 0.2
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]


def smtp_notifier(port: int, kind: type[SMTPNotifier] = SMTPNotifier, **options: Any) -> SMTPNotifier:
    defaults: dict[str, Any] = {
        "security": "none",
        "sender": "lumitag@example.com",
        "base_url": BASE_URL,
        "timeout_s": 10.0,
    }
    return kind("127.0.0.1", port, **(defaults | options))


@pytest.fixture
def sink() -> Iterator[MailSink]:
    with mail_sink() as sink:
        yield sink


# --- what a mail says ---


def test_one_mail_links_to_the_image_and_its_thumbnail_in_text_and_html(sink: MailSink) -> None:
    due = notification(YOU, "Cat", file_name="<b>&.jpg", request_id="request-1234")
    smtp_notifier(sink.port, base_url=lambda: f"{BASE_URL}/").notify(YOU, [due])
    [mail] = sink.mails
    bodies = {kind: mail.get_body((kind,)).get_content() for kind in ("plain", "html")}  # type: ignore[union-attr]
    for body in bodies.values():
        assert f"{BASE_URL}/#/images/{due.key}" in body
        assert f"{BASE_URL}/images/{due.key}/thumbnail" in body
        assert "Cat (90 %)" in body
    assert "<b>&.jpg\r\n" in bodies["plain"]
    assert "&lt;b&gt;&amp;.jpg</a>" in bodies["html"]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Request-ID"] == "request-1234"


def test_the_subject_only_counts_images(sink: MailSink) -> None:
    mailer = smtp_notifier(sink.port)
    mailer.notify(YOU, [notification(YOU)])
    mailer.notify(YOU, [notification(YOU) for _ in range(3)])
    assert [mail["Subject"] for mail in sink.mails] == ["Lumitag: labels for 1 image", "Lumitag: labels for 3 images"]


def test_a_huge_digest_stays_small_enough_to_be_taken(sink: MailSink) -> None:
    smtp_notifier(sink.port).notify(YOU, [notification(YOU)] * 5000)
    [mail] = sink.mails
    assert "And 4800 more" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert len(mail.as_bytes()) < 1_000_000


def test_an_html_mail_loads_nothing_from_anywhere(sink: MailSink) -> None:
    smtp_notifier(sink.port).notify(YOU, [notification(YOU)])
    body = sink.mails[0].get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert not re.search(r"<(img|link|script|iframe)|src=|url\(", body)


# --- what strangers cannot put into it (T12) ---

SEPARATORS = [
    "\r\n", "\n", "\r", "\r\n\r\n", "\r\n ", "\n\t", "\r\n.\r\n", "\n.\n", "%0d%0a", "\\r\\n", "=0D=0A", "&#13;&#10;",
    "\x0b", "\x0c", "\x00\r\n", "\x1c", "\x85", "\u2028", "\u2029", "\u560d\u560a", "=?utf-8?q?=0D=0A?=",
]  # fmt: skip
INJECTIONS = [
    "Bcc: spy@evil.test",
    "To: spy@evil.test",
    "Subject: free",
    "RCPT TO:<spy@evil.test>",
    "Content-Type: x/y",
]
HOSTILE_NAMES = [f"cat.jpg{cut}{injection}" for cut, injection in itertools.product(SEPARATORS, INJECTIONS)]
HOSTILE_ADDRESSES = [
    *(f"you@example.com{cut}{injection}" for cut in SEPARATORS for injection in INJECTIONS[:2]),
    "you@example.com,spy@evil.test", "you@example.com;spy@evil.test", "you@example.com spy@evil.test",
    "You <you@example.com>", "<you@example.com>", '"you@evil.test>\r\nRCPT TO:<x"@example.com', "you@example.com>",
    "you%evil.test@example.com", "evil.test!you@example.com", "|sh@example.com", "-oQ/x@example.com", "you@",
    "@example.com",
    "you@@example.com", "you@exam ple.com", "you@.example.com", "you..me@example.com", ".you@example.com",
    "you@[127.0.0.1]",
    "y\u00f6u@example.com", "you@ex\u00e4mple.com", "you\x00@example.com", "you@example.com\x00", "",
]  # fmt: skip


def assert_nothing_injected(sink: MailSink) -> None:
    """One recipient, the known headers once each, and no text of ours in them."""
    [envelope], [mail] = sink.envelopes, sink.mails
    assert envelope.rcpt_tos == ["you@example.com"]
    assert mail.keys() == HEADERS
    assert (mail["To"], mail["From"], mail["Subject"]) == (
        "you@example.com",
        "lumitag@example.com",
        "Lumitag: labels for 1 image",
    )
    assert mail.get_content_type() == "multipart/alternative"


def send_hostile(sink: MailSink, mailer: SMTPNotifier, name: str, label: str) -> None:
    sink.envelopes.clear()
    mailer.notify(YOU, [notification(YOU, label, file_name=name, request_id=name)])
    assert_nothing_injected(sink)


@pytest.mark.parametrize("where", ["file name", "label"])
def test_no_name_reaches_a_header(sink: MailSink, where: str) -> None:
    mailer = smtp_notifier(sink.port)
    for name in HOSTILE_NAMES:
        send_hostile(sink, mailer, *((name, "Cat") if where == "file name" else ("cat.jpg", name)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(max_size=80).map(lambda text: f"{text}\r\nBcc: spy@evil.test\r\n{text}"), label=st.text(min_size=1))
def test_no_generated_name_reaches_a_header(sink: MailSink, name: str, label: str) -> None:
    send_hostile(sink, smtp_notifier(sink.port), name, label)


def test_a_name_cannot_dress_up_as_another_line_of_the_text(sink: MailSink) -> None:
    smtp_notifier(sink.port).notify(YOU, [notification(YOU, file_name="a.jpg\n  Image: https://evil.test/\u202e")])
    first = sink.mails[0].get_body(("plain",)).get_content().splitlines()[0]  # type: ignore[union-attr]
    assert first == "a.jpg\ufffd  Image: https://evil.test/\ufffd"


@pytest.mark.parametrize("address", HOSTILE_ADDRESSES)
def test_a_hostile_address_is_refused_before_anyone_is_called(address: str) -> None:
    with scripted_server(silent) as server, pytest.raises(NotificationRefused):
        smtp_notifier(server.port).notify(subscription(Channel.MAIL, address), [notification(YOU)])
    assert server.connections == 0


def test_the_injection_tests_catch_a_name_in_the_subject(sink: MailSink, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(_to: Subscription, due: list[NotificationDue], *_rest: Any) -> Message:
        mail = email.message_from_string(f"Subject: Labels for {due[0].image.file_name}\r\n\r\n", policy=compat32)
        mail["From"] = "lumitag@example.com"
        return mail

    monkeypatch.setattr(notifier, "compose", careless)
    with pytest.raises(AssertionError):
        send_hostile(sink, smtp_notifier(sink.port), "cat.jpg\r\nBcc: spy@evil.test", "Cat")


def test_a_sender_with_more_than_an_address_is_a_wrong_setting() -> None:
    with pytest.raises(InvalidSettings, match="LUMITAG_MAIL_FROM"):
        smtp_notifier(25, sender="Lumitag <lumitag@example.com>\r\nBcc: spy@evil.test")


# --- what a bad server costs (R9) ---

FAULTS: dict[str, tuple[Script, type[LumitagError], str]] = {
    "hangs at once": (silent, NotificationFailed, "in time"),
    "one byte at a time": (dripping(b"220-" + b"x" * 40), NotificationFailed, "in time"),
    "hangs after the mail": (smtp_script(BODY=b""), NotificationFailed, "in time"),
    "drops at once": (smtp_script(GREETING=None), NotificationFailed, "broke"),
    "drops after DATA": (smtp_script(BODY=None), NotificationFailed, "broke"),
    "is no mail server": (smtp_script(GREETING=b"HTTP/1.1 400 Bad Request\r\n"), NotificationFailed, "not ready"),
    "421 at once": (smtp_script(GREETING=b"421 4.3.2 later\r\n"), NotificationFailed, r"not ready \(421 4.3.2\)"),
    "421 at MAIL": (smtp_script(MAIL=b"421 later\r\n"), NotificationFailed, "sender"),
    "553 at MAIL": (smtp_script(MAIL=b"553 not you\r\n"), NotificationFailed, "LUMITAG_MAIL_FROM"),
    "450 at RCPT": (smtp_script(RCPT=b"450 4.2.1 busy\r\n"), NotificationFailed, r"now \(450 4.2.1\)"),
    "550 at RCPT": (smtp_script(RCPT=b"550 5.1.1 you@example.com who?\r\n"), NotificationRefused, r"\(550 5.1.1\)"),
    "451 at DATA": (smtp_script(DATA=b"451 later\r\n"), NotificationFailed, "451"),
    "552 after the mail": (smtp_script(BODY=b"552 5.3.4 too big\r\n"), NotificationRefused, r"mail.*\(552 5.3.4\)"),
    "452 after the mail": (smtp_script(BODY=b"452 full\r\n"), NotificationFailed, "452"),
}


def assert_costs(mailer: SMTPNotifier, expected: type[LumitagError] | None, words: str = "") -> None:
    """`mailer` ends in `expected` within ten times its patience and says `words`, no address and nothing more."""
    started, outcome = time.monotonic(), None
    try:
        mailer.notify(YOU, [notification(YOU, file_name="secret.jpg")])
    except LumitagError as error:
        outcome = error
    assert (type(outcome) if outcome else None) is expected
    assert time.monotonic() - started < 10 * PATIENCE_S
    assert re.search(words, str(outcome))
    assert "secret" not in str(outcome)
    assert YOU.address not in str(outcome)


class Swallows(SMTPNotifier):
    def notify(self, *arguments: Any) -> None:
        with contextlib.suppress(LumitagError):
            super().notify(*arguments)


class Swaps(SMTPNotifier):
    def notify(self, *arguments: Any) -> None:
        try:
            super().notify(*arguments)
        except NotificationFailed as error:
            raise NotificationRefused(error.message) from error
        except NotificationRefused as error:
            raise NotificationFailed(error.message) from error


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_server_costs_one_attempt_or_the_notification(fault: str) -> None:
    script, expected, words = FAULTS[fault]
    # A server that answers must not run into our deadline because this machine was busy for a moment.
    patience_s = PATIENCE_S if words == "in time" else 5 * PATIENCE_S
    with scripted_server(script) as server:
        assert_costs(smtp_notifier(server.port, timeout_s=patience_s), expected, words)


@pytest.mark.parametrize("mutant", [Swallows, Swaps])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_tests_catch_an_adapter_that_misjudges(fault: str, mutant: type[SMTPNotifier]) -> None:
    script, expected, words = FAULTS[fault]
    with scripted_server(script) as server, pytest.raises(AssertionError):
        assert_costs(smtp_notifier(server.port, kind=mutant, timeout_s=PATIENCE_S), expected, words)


@pytest.mark.parametrize("fault", ["hangs at once", "one byte at a time", "hangs after the mail"])
def test_the_fault_tests_catch_a_missing_deadline(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_connection.Deadline, "cutting", lambda _self, _line: contextlib.nullcontext())
    script, expected, words = FAULTS[fault]
    with scripted_server(script) as server, pytest.raises(AssertionError):
        assert_costs(smtp_notifier(server.port, timeout_s=PATIENCE_S), expected, words)


def test_a_server_that_is_not_there_costs_one_attempt() -> None:
    with scripted_server(silent) as server:
        pass
    assert_costs(smtp_notifier(server.port), NotificationFailed, "No mail server listens")


@pytest.mark.parametrize(("host", "words"), [("mail..example.com", "broke"), ("mail.invalid", "name cannot be found")])
def test_a_server_name_that_means_nothing_costs_one_attempt(
    host: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_arguments: Any, **_options: Any) -> None:
        host.encode("idna")  # as the real lookup does first
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    mailer = SMTPNotifier(host, 25, security="none", sender="a@example.com", base_url=BASE_URL, timeout_s=PATIENCE_S)
    assert_costs(mailer, NotificationFailed, words)


def test_a_name_lookup_that_hangs_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server(silent) as server:
        monkeypatch.setattr(notifier, "system_addresses", lambda _host: server.over.wait(3.0))
        assert_costs(smtp_notifier(server.port, timeout_s=PATIENCE_S), NotificationFailed, "in time")


@pytest.mark.parametrize("goodbye", [None, b"", b"421 busy\r\n"])
def test_a_lost_goodbye_after_the_mail_was_taken_is_no_failure(goodbye: bytes | None) -> None:
    with scripted_server(smtp_script(QUIT=goodbye)) as server:
        assert_costs(smtp_notifier(server.port, timeout_s=PATIENCE_S), None)


def test_the_mail_is_delivered_once_the_server_is_back(sink: MailSink) -> None:
    sink.replies["RCPT"] = "450 busy"
    mailer, due = smtp_notifier(sink.port), [notification(YOU)]
    with pytest.raises(NotificationFailed):
        mailer.notify(YOU, due)
    sink.replies.clear()
    mailer.notify(YOU, due)
    assert len(sink.mails) == 1


# --- login and TLS ---


def test_logs_in_when_a_user_is_given() -> None:
    with mail_sink(login=True) as sink:
        smtp_notifier(sink.port, user="me", password="right").notify(YOU, [notification(YOU)])
    assert (sink.logins, len(sink.mails)) == ([(b"me", b"right")], 1)


@pytest.mark.parametrize("password", ["wrong", "p\u00e4ss"])
def test_a_refused_login_says_which_settings_to_check(password: str) -> None:
    with mail_sink(login=True) as sink:
        mailer = smtp_notifier(sink.port, user="me", password=password)
        assert_costs(mailer, NotificationFailed, "LUMITAG_SMTP_USER and LUMITAG_SMTP_PASSWORD")
    assert sink.mails == []


def test_a_mail_is_never_sent_in_the_clear_when_starttls_is_missing(sink: MailSink) -> None:
    assert_costs(smtp_notifier(sink.port, security="starttls"), NotificationFailed, "LUMITAG_SMTP_SECURITY")
    assert sink.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_trusted_certificate_is_accepted_and_another_is_not(
    security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, context = make_certificate(tmp_path, "DNS:localhost", "IP:127.0.0.1")
    options = {"ssl_context": context} if security == "tls" else {"tls_context": context, "require_starttls": True}
    with mail_sink(**options) as sink:
        assert_costs(smtp_notifier(sink.port, security=security), NotificationFailed, "certificate is not valid")
        assert sink.mails == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        smtp_notifier(sink.port, security=security).notify(YOU, [notification(YOU)])
        assert len(sink.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_hangs_in_the_handshake_is_cut(security: str) -> None:
    greeting = {"EHLO": b"250-x\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go\r\n"}
    script = smtp_script(**greeting) if security == "starttls" else silent
    with scripted_server(script) as server:
        assert_costs(smtp_notifier(server.port, security=security, timeout_s=PATIENCE_S), NotificationFailed)


def test_words_of_the_server_are_never_repeated() -> None:
    assert _smtp.failure_of(
        smtplib.SMTPDataError(550, b"5.7.1 <you@example.com> \xff"), _connection.Deadline(1)
    ).message == ("The mail server refuses the mail for good (550 5.7.1).")
