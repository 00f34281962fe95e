"""The matrix of the contracts: each store suite runs once for every word in `PLATFORMS`.

To add a platform: write one function that builds its `Stores` in a folder, and add one word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from lumitag.adapters.local._database import Database
from lumitag.adapters.local.event_queue import SQLiteEventQueue
from lumitag.adapters.local.label_store import SQLiteLabelStore
from lumitag.adapters.local.object_store import FileObjectStore
from lumitag.adapters.local.outboxes import SQLiteOutboxes
from lumitag.domain import Channel, ImageRecord, first_key_at, new_key
from lumitag.events import ImageUploaded, NotificationDue
from lumitag.ports import EventQueue, LabelStore, Message, ObjectStore
from tests.fakes import FakeEventQueue, FakeLabelStore, FakeObjectStore, FakeOutboxes

VISIBILITY_TIMEOUT_S = 30.0
MAX_RECEIVE_COUNT = 3
MAX_BYTES = 1_000_000


class Clock:
    """A clock that stands still until a test moves it; its two hands move together."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Stores:
    """The stores of one platform, empty, on one clock."""

    object_store: ObjectStore
    event_queue: EventQueue[ImageUploaded]
    label_store: LabelStore
    outbox: Callable[[str], EventQueue[NotificationDue]]
    clock: Clock
    numbers: Iterator[int] = field(default_factory=count)

    def new_record(self, size: int = 3, sha256: str | None = None, upload_time: datetime | None = None) -> ImageRecord:
        """Return a pending record, newer than all before; its key is of the moment it was uploaded, or else of now."""
        self.clock.advance(1)
        return ImageRecord(
            key=key_at(upload_time or self.clock.now()),
            file_name=f"{next(self.numbers)}.jpg",
            content_type="image/jpeg",
            size=size,
            sha256=sha256,
            created_time=upload_time or self.clock.now(),
            upload_time=upload_time,
            request_id="request-1",
        )

    def accept(self, size: int = 3, sha256: str | None = None) -> ImageRecord:
        """Keep and return a record that waits for its bytes."""
        record = self.new_record(size, sha256)
        self.label_store.create(record)
        return record

    def uploaded(self, upload_time: datetime | None = None) -> ImageRecord:
        """Keep and return a record whose bytes are stored."""
        self.clock.advance(1)
        record = self.new_record(upload_time=upload_time or self.clock.now())
        self.label_store.create(record)
        return record

    def announced(self) -> list[ImageUploaded]:
        """Return the uploads announced since the last call."""
        messages: list[Message[ImageUploaded]] = []
        while batch := self.event_queue.receive(10, 0):
            messages += batch
        self.event_queue.delete(messages)
        return [message.event for message in messages]

    def told(self, subscription_id: str) -> list[NotificationDue]:
        """Return what a subscription is to be told now, and hide it for a while."""
        return [message.event for message in self.outbox(subscription_id).receive(1000, 0)]


def key_at(moment: datetime) -> str:
    """Return a new key that was made at `moment`."""
    return first_key_at(moment)[:10] + new_key()[10:]


def fake(folder: Path, closing: ExitStack) -> Stores:
    clock = Clock()

    def new_queue(name: str) -> FakeEventQueue[NotificationDue]:
        return FakeEventQueue(
            name,
            visibility_timeout_s=VISIBILITY_TIMEOUT_S,
            max_receive_count=MAX_RECEIVE_COUNT,
            clock=clock.now,
            monotonic=clock.monotonic,
        )

    event_queue: FakeEventQueue[ImageUploaded] = FakeEventQueue(
        visibility_timeout_s=VISIBILITY_TIMEOUT_S,
        max_receive_count=MAX_RECEIVE_COUNT,
        clock=clock.now,
        monotonic=clock.monotonic,
    )
    outboxes = FakeOutboxes(new_queue)
    label_store = FakeLabelStore(outboxes, clock=clock.now)
    object_store = FakeObjectStore(label_store, lambda event: event_queue.send([event]), clock=clock.now)
    return Stores(object_store, event_queue, label_store, outboxes.outbox, clock)


def local(folder: Path, closing: ExitStack) -> Stores:
    clock = Clock()
    database = Database(folder / "test.sqlite3")
    closing.callback(database.close)
    event_queue = SQLiteEventQueue(
        database,
        "images",
        ImageUploaded.from_json,
        visibility_timeout_s=VISIBILITY_TIMEOUT_S,
        max_receive_count=MAX_RECEIVE_COUNT,
        clock=clock.now,
        monotonic=clock.monotonic,
    )
    outboxes = outboxes_on(database, clock)
    label_store = SQLiteLabelStore(database, outboxes, clock=clock.now)
    object_store = FileObjectStore(
        folder,
        database,
        lambda connection, event: event_queue.enqueue(connection, [event]),
        signing_key=b"k" * 32,
        max_bytes=MAX_BYTES,
        min_free_bytes=0,
        upload_lifetime_s=600,
        clock=clock.now,
    )
    return Stores(object_store, event_queue, label_store, outboxes.outbox, clock)


def outboxes_on(database: Database, clock: Clock) -> SQLiteOutboxes:
    """Return the local outboxes on the clock of a test."""
    return SQLiteOutboxes(
        database,
        tuple(Channel),
        visibility_timeout_s=VISIBILITY_TIMEOUT_S,
        max_receive_count=MAX_RECEIVE_COUNT,
        clock=clock.now,
        monotonic=clock.monotonic,
    )


PLATFORMS: dict[str, Callable[[Path, ExitStack], Stores]] = {"fake": fake, "local": local}


@pytest.fixture(params=PLATFORMS)
def new_stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Stores]]:
    """A function that returns new, empty stores of one platform: for tests with many examples."""
    numbers = count()

    def build() -> Stores:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return PLATFORMS[request.param](folder, closing)

    with ExitStack() as closing:
        yield build


@pytest.fixture
def stores(new_stores: Callable[[], Stores]) -> Stores:
    """New, empty stores of one platform."""
    return new_stores()
