"""What changes, told to those who listen: the pages over server-sent events, and the requests that wait.

A change is published from any thread, rendered once, and kept for those who lost their connection a moment ago.
Listeners read from what is kept, so a slow one costs no memory; one that is too slow is told to start anew.
The stream is the one of https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from lumitag.domain import ImageRecord
from lumitag.errors import TooManyListeners
from lumitag.events import ImageDeleted

HEARTBEAT_S: Final = 15.0
_RECONNECT_MS: Final = 2000


class Waker:
    """Lets any thread wake one coroutine."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        """End the present wait, or the next one. Safe from any thread."""
        with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, timeout_s: float) -> bool:
        """Wait until woken, at most `timeout_s` seconds; return whether it was woken."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


@dataclass(frozen=True, slots=True)
class _Change:
    number: int
    key: str
    name: str
    data: str


class ChangeFeed:
    """The latest changes, for any number of threads that publish and coroutines that listen.

    Attributes:
        min_confidence: percent; labels below it are not told.
        kept: how many changes are kept for those who come back.
        max_listeners: how many may listen at once.
    """

    def __init__(self, min_confidence: float = 0.0, kept: int = 1000, max_listeners: int = 100) -> None:
        self.min_confidence = min_confidence
        self.kept = kept
        self.max_listeners = max_listeners
        self.is_closed = False
        # Numbers start anew with the process; its own word in front keeps an old position from being taken for a new.
        self._origin = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._changes: deque[_Change] = deque()
        self._last = 0
        self._forgotten = 0
        self._listeners: set[Waker] = set()
        self._watchers: defaultdict[str, set[Waker]] = defaultdict(set)

    def publish(self, change: ImageRecord | ImageDeleted) -> None:
        """Tell everybody that an image changed or was deleted. Safe from any thread, never waits."""
        name, data = self._render(change)
        with self._lock:
            if isinstance(change, ImageDeleted):  # Deleted means gone, from what is replayed too.
                self._changes = deque(kept for kept in self._changes if kept.key != change.key)
            self._last += 1
            self._changes.append(_Change(self._last, change.key, name, data))
            while len(self._changes) > self.kept:
                self._forgotten = self._changes.popleft().number
            wakers = [*self._listeners, *self._watchers.get(change.key, ())]
        for waker in wakers:
            waker.wake()

    def close(self) -> None:
        """End all streams and waits, so that the server can stop. Safe from any thread."""
        with self._lock:
            self.is_closed = True
            wakers = [*self._listeners, *(waker for wakers in self._watchers.values() for waker in wakers)]
        for waker in wakers:
            waker.wake()

    @contextmanager
    def watch(self, key: str) -> Iterator[Waker]:
        """Give a waker that is woken whenever the image under `key` changes."""
        waker = Waker()
        with self._lock:
            self._watchers[key].add(waker)
        try:
            yield waker
        finally:
            with self._lock:
                self._watchers[key].discard(waker)
                if not self._watchers[key]:
                    del self._watchers[key]

    @contextmanager
    def listen(self, last_event_id: str | None = None) -> Iterator[AsyncIterator[str]]:
        """Give the stream of all changes after `last_event_id`, or from now on. Raises TooManyListeners."""
        waker = Waker()
        with self._lock:
            if len(self._listeners) >= self.max_listeners:
                raise TooManyListeners
            self._listeners.add(waker)
            position = self._last
        try:
            yield self._stream(waker, position, last_event_id)
        finally:
            with self._lock:
                self._listeners.discard(waker)

    async def _stream(self, waker: Waker, position: int, last_event_id: str | None) -> AsyncIterator[str]:
        if last_event_id:
            position = self._position(last_event_id)
        else:
            # An id without data is remembered by the page but not shown to it.
            yield f"retry: {_RECONNECT_MS}\nid: {self._origin}-{position}\n\n"
        while not self.is_closed:
            position, text = self._after(position)
            if text:
                yield text
            elif not await waker.wait(HEARTBEAT_S):
                yield ": nothing new\n\n"

    def _position(self, last_event_id: str) -> int:
        origin, _, number = last_event_id.partition("-")
        return int(number) if origin == self._origin and number.isascii() and number.isdigit() else -1

    def _after(self, position: int) -> tuple[int, str]:
        with self._lock:
            if not self._forgotten <= position <= self._last:
                return self._last, self._block(self._last, "reset", "{}")
            changes = [change for change in self._changes if change.number > position]
            last = self._last
        return last, "".join(self._block(change.number, change.name, change.data) for change in changes)

    def _block(self, number: int, name: str, data: str) -> str:
        return f"id: {self._origin}-{number}\nevent: {name}\ndata: {data}\n\n"

    def _render(self, change: ImageRecord | ImageDeleted) -> tuple[str, str]:
        if isinstance(change, ImageDeleted):
            return "deleted", _compact({"key": change.key})
        return "image", _compact(change.with_visible_labels(self.min_confidence).to_json())


def _compact(value: object) -> str:
    # Characters beyond ASCII are escaped: some of them end a line of the stream.
    return json.dumps(value, separators=(",", ":"))
