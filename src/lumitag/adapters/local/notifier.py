"""SMTPNotifier and WebhookNotifier: tell a subscriber by mail, or by calling a URL.

Both answer within `timeout_s` whatever the other side does, and say for people what went wrong,
without file names, mail addresses or the words of the other side: the reason is logged and shown.
"""

from __future__ import annotations

import contextlib
import http.client
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from http import HTTPStatus
from typing import Final, Literal

from lumitag.adapters.local import _http, _smtp
from lumitag.adapters.local._addresses import (
    Target,
    check_address,
    check_mail_address,
    check_url,
    new_subscription,
    refusal,
)
from lumitag.adapters.local._connection import Deadline, Resolver, connected, system_addresses
from lumitag.adapters.local._links import BaseURL, current
from lumitag.adapters.local._mail import compose
from lumitag.adapters.local._webhook import new_secret, payload, sign, verify
from lumitag.domain import Subscription, now
from lumitag.errors import InvalidSettings, InvalidSubscription, NotificationFailed, NotificationRefused
from lumitag.events import NotificationDue

__all__ = [
    "SMTPNotifier",
    "WebhookNotifier",
    "check_address",
    "new_secret",
    "new_subscription",
    "sign",
    "verify",
]

Security = Literal["starttls", "tls", "none"]

_DELIVERED: Final = range(200, 300)
_MOVED_FOR_GOOD: Final = frozenset({HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.PERMANENT_REDIRECT})
_TRY_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_CLIENT_ERRORS: Final = range(400, 500)


class SMTPNotifier:
    """Sends one mail for the given notifications: one image, or a digest.

    Args:
        host: name or address of the mail server.
        port: 587 for submission, 465 for TLS, 25 for a relay.
        security: `starttls` and `tls` check the server's certificate; `none` is for this machine.
        user: None when the server asks for no login.
        password: of `user`.
        sender: a plain e-mail address.
        base_url: how others reach this server, for the links.
        timeout_s: seconds for the whole conversation.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        security: Security,
        user: str | None = None,
        password: str | None = None,
        sender: str,
        base_url: BaseURL,
        timeout_s: float,
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._user = user
        self._password = password or ""
        self._sender = _check_sender(sender)
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()

    def notify(self, subscription: Subscription, notifications: Sequence[NotificationDue]) -> None:
        """Send one mail. Raises NotificationFailed, or NotificationRefused when the server refuses address or mail."""
        if not notifications:
            return
        recipient = _recipient(subscription)
        mail = compose(subscription, notifications, self._sender, current(self._base_url), now())
        deadline = Deadline(self._timeout_s)
        try:
            self._send(mail, recipient, deadline)
        except (OSError, ValueError) as error:  # smtplib's and ssl's errors are OSErrors
            raise _smtp.failure_of(error, deadline) from error

    def _send(self, mail: EmailMessage, recipient: str, deadline: Deadline) -> None:
        addresses = deadline.wait_for(system_addresses, self._host)
        with connected(addresses, self._port, deadline) as line:
            conversation = _smtp.Conversation(self._secured(line), self._host, self._port)
            with contextlib.closing(conversation):
                self._introduce(conversation)
                conversation.send_message(mail, self._sender, [recipient])
                with contextlib.suppress(OSError):  # the mail is taken: a lost goodbye must not send it again
                    conversation.quit()

    def _secured(self, line: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(line, server_hostname=self._host) if self._security == "tls" else line

    def _introduce(self, conversation: smtplib.SMTP) -> None:
        if self._security == "starttls":
            conversation.starttls(context=self._tls)
        if self._user is not None:
            conversation.login(self._user, self._password)


class WebhookNotifier:
    """Calls a URL once an image. The notifications' ids are stable, so the receiver can drop a repetition.

    It connects only to addresses it has vetted, follows no redirect and knows no proxy.
    An answer of 2xx means delivered. 301, 308, 410 and other 4xx are refusals; everything else is tried again.

    Args:
        allow_private: whether a URL may lead to this machine or its private network (there also without TLS).
        base_url: how others reach this server, for the links.
        timeout_s: seconds for one whole call, name lookup included.
        user_agent: names this program to the receiver.
        clock: seconds since 1970.
        resolve: all addresses of a host name.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        base_url: BaseURL,
        timeout_s: float,
        user_agent: str,
        clock: Callable[[], float] = time.time,
        resolve: Resolver = system_addresses,
    ) -> None:
        self._allow_private = allow_private
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._user_agent = user_agent
        self._clock = clock
        self._resolve = resolve
        self._tls = ssl.create_default_context()

    def notify(self, subscription: Subscription, notifications: Sequence[NotificationDue]) -> None:
        """Call the URL for each notification, in order; the first failure ends it.

        Raises NotificationFailed, with `retry_after_s` if the receiver names a time, or NotificationRefused.
        """
        target = self._target(subscription)
        for notification in notifications:
            body = payload(subscription, notification, current(self._base_url))
            headers = self._headers(subscription, notification.id, body) | {"Host": target.authority}
            self._judge(self._post(target, headers, body))

    def _target(self, subscription: Subscription) -> Target:
        try:
            return check_url(subscription.address, allow_private=self._allow_private)
        except InvalidSubscription as error:
            raise NotificationRefused(error.message) from error

    def _headers(self, subscription: Subscription, webhook_id: str, body: bytes) -> dict[str, str]:
        timestamp = int(self._clock())
        try:
            signature = sign(subscription.secret, webhook_id, timestamp, body)
        except ValueError as error:
            raise NotificationRefused("The subscription has no usable secret. Make a new subscription.") from error
        return {
            "Content-Type": "application/json",
            "User-Agent": self._user_agent,
            "Connection": "close",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
        }

    def _post(self, target: Target, headers: dict[str, str], body: bytes) -> http.client.HTTPResponse:
        deadline = Deadline(self._timeout_s)
        try:
            addresses = self._vetted(target, deadline)
            with connected(addresses, target.port, deadline) as line, self._secured(line, target) as channel:
                return _http.exchange(channel, target, headers, body)
        except (OSError, http.client.HTTPException) as error:
            raise _http.failure_of(error, deadline) from error

    def _vetted(self, target: Target, deadline: Deadline) -> Sequence[str]:
        addresses = deadline.wait_for(self._resolve, target.host)
        for address in addresses:
            problem = refusal(address, target, allow_private=self._allow_private)
            if problem is not None:
                raise NotificationRefused(problem)
        return addresses

    def _secured(self, line: socket.socket, target: Target) -> socket.socket:
        return self._tls.wrap_socket(line, server_hostname=target.host) if target.scheme == "https" else line

    def _judge(self, answer: http.client.HTTPResponse) -> None:
        status = answer.status
        if status in _DELIVERED:
            return
        if status in _MOVED_FOR_GOOD:
            raise NotificationRefused(f"The webhook has moved (HTTP {status}). Subscribe its new URL.")
        if status in _CLIENT_ERRORS and status not in _TRY_LATER:
            raise NotificationRefused(f"The webhook refuses the call (HTTP {status}). Check its URL.")
        failure = NotificationFailed(f"The webhook could not take the call (HTTP {status}).")
        failure.retry_after_s = _http.retry_after_s(answer.getheader("Retry-After"), self._clock())
        raise failure


def _recipient(subscription: Subscription) -> str:
    try:
        return check_mail_address(subscription.address)
    except InvalidSubscription as error:
        raise NotificationRefused(error.message) from error


def _check_sender(sender: str) -> str:
    try:
        return check_mail_address(sender)
    except InvalidSubscription as error:
        raise InvalidSettings("LUMITAG_MAIL_FROM is not a plain e-mail address like lumitag@example.com.") from error
