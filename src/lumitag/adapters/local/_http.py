"""One POST over a connection that is there already, and what its failures mean to people."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from lumitag.adapters.local._addresses import Target
from lumitag.adapters.local._connection import Deadline
from lumitag.errors import NotificationFailed

_MOST_ANSWER_BYTES: Final = 64 * 1024
_LONGEST_WAIT_S: Final = 86_400.0


def exchange(line: socket.socket, target: Target, headers: dict[str, str], body: bytes) -> http.client.HTTPResponse:
    """Return the answer to one POST, its body dropped. Raises OSError or HTTPException.

    Status line and headers are the answer: what goes wrong after them changes nothing.
    The body is read, at most 64 KiB of it, because some servers count a caller who leaves early as a failure.
    """
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.response_class = _ShortAnswer
    connection.auto_open = 0  # it must never connect by name
    connection.sock = line
    with contextlib.closing(connection):
        connection.request("POST", target.path, body, headers)
        with connection.getresponse() as answer:
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                answer.read(_MOST_ANSWER_BYTES)  # a number, or http.client allocates what Content-Length says
            return answer


def failure_of(error: Exception, deadline: Deadline) -> NotificationFailed:
    """Return what an OSError or HTTPException of a call means to whoever waits for it."""
    if deadline.passed or isinstance(error, TimeoutError):
        return NotificationFailed("The webhook did not answer in time.")
    match error:
        case ssl.SSLCertVerificationError():
            return NotificationFailed(f"The webhook's certificate is not valid: {error.verify_message}.")
        case ssl.SSLError():
            return NotificationFailed("The webhook does not speak TLS as it should.")
        case socket.gaierror():
            return NotificationFailed("The host name of the webhook cannot be found.")
        case ConnectionRefusedError():
            return NotificationFailed("Nothing listens where the webhook's URL leads.")
        case _:
            return NotificationFailed("The connection to the webhook broke before it answered.")


def retry_after_s(header: str | None, present_s: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, at most a day; None if it says nothing readable."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return min(float(header), _LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(header)
        wait_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - present_s
    except (ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S)


class _ShortAnswer(http.client.HTTPResponse):
    """An answer that ends after 64 KiB, status line and headers included."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp = io.BufferedReader(_FirstBytes(self.fp, _MOST_ANSWER_BYTES))


class _FirstBytes(io.RawIOBase):
    """The first `limit` bytes of `source`, then the end."""

    def __init__(self, source: io.BufferedIOBase, limit: int) -> None:
        self._source = source
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        count = self._source.readinto1(memoryview(buffer)[: self._left])
        self._left -= count
        return count

    def close(self) -> None:
        self._source.close()
        super().close()
