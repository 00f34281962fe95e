"""What a connection may cost before anybody has looked at it: the head of a request is bounded in size and in time.

The parser takes heads of any size at any pace, and the guard sees a request only once its head is whole.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_S: Final = 10.0


class BoundedHeads(HttpToolsProtocol):
    """HTTP/1.1 on one connection; a head that is too large or too slow ends it.

    Trailers are a head, too: what follows the last piece of a body counts until the request is over.
    They are dropped, because a header that arrives after the guard has looked would be believed unseen.
    """

    _unparsed_bytes = 0
    _is_in_head = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the clock: the first head is due."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what cannot be parsed yet, and cut it when it is too much."""
        if self._is_in_head and self._deadline is None:
            self._start_clock()
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self._unparsed_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; one that comes after the body (a trailer) is dropped."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop the clock: the head is here."""
        self._is_in_head = False
        self._unparsed_bytes = 0
        self._stop_clock()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count anew: what was parsed is no head."""
        self._unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect the next head."""
        self._is_in_head = True
        self._unparsed_bytes = 0
        super().on_message_complete()

    def _start_clock(self) -> None:
        self._deadline = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
