"""Connections that end in time: name lookup, connecting and the whole conversation share one deadline.

A timeout for each read is not enough: a server that sends one byte a second never exceeds it.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

Resolver = Callable[[str], Sequence[str]]
"""Returns all addresses of a host name, preferred first, as text. Raises OSError when there is none."""


class Deadline:
    """The moment, `timeout_s` seconds from now, at which a conversation is over whatever the other side does."""

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end

    def remaining_s(self) -> float:
        """Return the seconds that are left, more than zero. Raises TimeoutError when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for this conversation is up")
        return left

    def wait_for(self, lookup: Callable[[str], T], argument: str) -> T:
        """Return `lookup(argument)`, or raise TimeoutError if it does not return in time.

        A name lookup cannot be interrupted, so it runs in a thread of its own that is left behind.
        """
        outcome: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()
        threading.Thread(target=_report, args=(lookup, argument, outcome), daemon=True).start()
        try:
            result, error = outcome.get(timeout=self.remaining_s())
        except queue.Empty:
            raise TimeoutError("the name lookup took too long") from None
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # without an error there is a result

    @contextlib.contextmanager
    def cutting(self, line: socket.socket) -> Iterator[None]:
        """Shut `line` down at the deadline, so that whoever reads or writes it wakes up.

        The guard holds a duplicate of the socket: it still works after TLS has taken the original over.
        """
        left_s = self.remaining_s()
        handle = line.dup()
        guard = threading.Timer(left_s, _shut, (handle,))
        guard.daemon = True
        guard.start()
        try:
            yield
        finally:
            guard.cancel()
            guard.join()
            handle.close()


@contextlib.contextmanager
def connected(addresses: Sequence[str], port: int, deadline: Deadline) -> Iterator[socket.socket]:
    """Give a connection to the first of `addresses` that answers; it is cut at `deadline`. Raises OSError.

    The addresses are numeric, so that nobody is asked again what a name means.
    """
    with _first_answer(addresses, port, deadline) as line, deadline.cutting(line):
        yield line


def system_addresses(host: str) -> tuple[str, ...]:
    """Return all addresses that this machine knows for `host`, preferred first. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("this is not a host name") from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _first_answer(addresses: Sequence[str], port: int, deadline: Deadline) -> socket.socket:
    failure: OSError = OSError("the name has no address")
    for tried, address in enumerate(addresses):
        # Each address gets its share of the time that is left: one that stays silent leaves some for the next.
        share_s = deadline.remaining_s() / (len(addresses) - tried)
        try:
            line = socket.create_connection((address, port), timeout=share_s)
        except OSError as error:
            failure = error
        else:
            line.settimeout(None)  # from here on the guard of `cutting` watches
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small writes that wait for an answer
            return line
    raise failure


def _report(
    lookup: Callable[[str], T], argument: str, outcome: queue.SimpleQueue[tuple[T | None, Exception | None]]
) -> None:
    try:
        outcome.put((lookup(argument), None))
    except Exception as error:  # noqa: BLE001  # it is raised again in the thread that waits
        outcome.put((None, error))


def _shut(handle: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was faster
        handle.shutdown(socket.SHUT_RDWR)
