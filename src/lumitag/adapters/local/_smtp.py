"""A conversation with a mail server, and what its failures mean to people."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from typing import Final

from lumitag.adapters.local._connection import Deadline
from lumitag.errors import NotificationFailed, NotificationRefused

_PERMANENT_REPLIES: Final = range(500, 600)  # RFC 5321, 4.2.1
_ENHANCED_CODE: Final = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?= )")  # RFC 3463


class Conversation(smtplib.SMTP):
    """SMTP over a connection that is there already. It never looks up a name, not even this machine's."""

    def __init__(self, line: socket.socket, host: str, port: int) -> None:
        self._line = line
        super().__init__(host, port, local_hostname=_address_literal(line))

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002  # smtplib calls it
        return self._line


def failure_of(error: Exception, deadline: Deadline) -> NotificationFailed | NotificationRefused:
    """Return what an OSError or ValueError of a conversation means to whoever waits for the mail."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return _verdict("the address", *next(iter(error.recipients.values())))
        case smtplib.SMTPDataError():
            return _verdict("the mail", error.smtp_code, error.smtp_error)
        case smtplib.SMTPServerDisconnected() | ssl.SSLError():  # before ValueError: a bad certificate is one, too
            return _line_failure(error, deadline)
        case smtplib.SMTPException() | ValueError():
            return NotificationFailed(_misunderstanding(error))
        case _:
            return _line_failure(error, deadline)


def _misunderstanding(error: Exception) -> str:
    match error:
        case smtplib.SMTPAuthenticationError() | ValueError():  # a challenge or a password that login cannot encode
            return "The mail server refuses the login. Check LUMITAG_SMTP_USER and LUMITAG_SMTP_PASSWORD."
        case smtplib.SMTPSenderRefused():
            reply = _reply(error.smtp_code, error.smtp_error)
            return f"The mail server refuses the sender ({reply}). Check LUMITAG_MAIL_FROM."
        case smtplib.SMTPResponseException():
            return f"The mail server is not ready ({_reply(error.smtp_code, error.smtp_error)})."
        case _:
            return "The mail server lacks STARTTLS or login. Check LUMITAG_SMTP_SECURITY and LUMITAG_SMTP_USER."


def _line_failure(error: Exception, deadline: Deadline) -> NotificationFailed:
    if deadline.passed or isinstance(error, TimeoutError):
        return NotificationFailed("The mail server did not finish in time.")
    match error:
        case ssl.SSLCertVerificationError():
            return NotificationFailed(f"The mail server's certificate is not valid: {error.verify_message}.")
        case ssl.SSLError():
            return NotificationFailed("The mail server does not speak TLS here. Check LUMITAG_SMTP_SECURITY.")
        case socket.gaierror():
            return NotificationFailed("The mail server's name cannot be found. Check LUMITAG_SMTP_HOST.")
        case ConnectionRefusedError():
            return NotificationFailed("No mail server listens there. Check LUMITAG_SMTP_HOST and LUMITAG_SMTP_PORT.")
        case _:
            return NotificationFailed("The connection to the mail server broke.")


def _verdict(what: str, code: int, text: bytes | str) -> NotificationFailed | NotificationRefused:
    if code in _PERMANENT_REPLIES:
        return NotificationRefused(f"The mail server refuses {what} for good ({_reply(code, text)}).")
    return NotificationFailed(f"The mail server does not take {what} now ({_reply(code, text)}).")


def _reply(code: int, text: bytes | str) -> str:
    """Return the codes of an SMTP reply. Its words may repeat the address, so they are left out."""
    enhanced = _ENHANCED_CODE.match(text.encode("ascii", "replace") if isinstance(text, str) else text)
    return f"{code} {enhanced[0].decode()}" if enhanced else f"{code}"


def _address_literal(line: socket.socket) -> str:
    """Return this end's address as EHLO wants it when a machine has no name: RFC 5321, 4.1.3."""
    address = str(line.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
