"""The five ports in memory, for tests that are about something else. They pass the contracts too."""

from __future__ import annotations

import hashlib
import io
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import BinaryIO, Generic, TypeVar

from lumitag.domain import (
    BoundingBox,
    DominantColor,
    Frequency,
    ImageProperties,
    ImageQuery,
    ImageRecord,
    ImageStatus,
    Instance,
    Label,
    LabelCount,
    Page,
    Quality,
    Recognition,
    RegionProperties,
    Subscription,
    UploadGrant,
    now,
)
from lumitag.errors import (
    AlreadyUploaded,
    ImageNotFound,
    InvalidCursor,
    LumitagError,
    SubscriptionNotFound,
    UnreadableImage,
    UploadMismatch,
)
from lumitag.events import ImageRecognized, ImageUploaded, NotificationDue
from lumitag.ports import DeadLetter, E, Message

T = TypeVar("T")
Clock = Callable[[], datetime]
DOG = Label("Dog", "n02084071", 98.3, ("Animal", "Mammal"), ("Canine",), ("Animals and Pets",))

# What a picture with a spot looks like: the same colours in several places, as in life.
GREY, TEAL, BLACK = DominantColor(47, 79, 79, 39.4), DominantColor(0, 128, 128, 28.0), DominantColor(0, 0, 0, 100.0)
SPOT_BOXES = BoundingBox(0.1, 0.2, 0.3, 0.4), BoundingBox(0.5, 0.5, 0.25, 0.25)
SPOT = Label(
    "Spot",
    "test:spot",
    77.0,
    instances=(Instance(SPOT_BOXES[0], 77.0, (BLACK,)), Instance(SPOT_BOXES[1], 75.5, (GREY, TEAL))),
)
PROPERTIES = ImageProperties(
    Quality(59.9, 81.0, 80.4),
    (GREY, TEAL),
    RegionProperties(Quality(44.7, 81.9), (BLACK,)),
    RegionProperties(Quality(63.7, 80.8), (TEAL, GREY)),
)


class FakeObjectStore:
    """Keeps bytes in a dictionary; knows records through the label store, as a real store knows its database."""

    def __init__(
        self, label_store: FakeLabelStore, announce: Callable[[ImageUploaded], None], *, clock: Clock = now
    ) -> None:
        self.contents: dict[str, bytes] = {}
        self._label_store = label_store
        self._announce = announce
        self._clock = clock
        self._lock = threading.RLock()

    def upload_grant(self, record: ImageRecord, base_url: str) -> UploadGrant:
        url = f"{base_url}/objects/{record.key}?signature=fake"
        expires_at = self._clock() + timedelta(minutes=10)
        return UploadGrant(record.key, url, "PUT", {"Content-Type": record.content_type}, {}, expires_at)

    def put(self, record: ImageRecord, content: BinaryIO) -> ImageUploaded:
        data = content.read()
        with self._lock:
            known = self._label_store.get(record.key)
            if known.upload_time is not None:
                return self._again(known, known.upload_time, data)
            sha256 = _verified(known, data)
            event = ImageUploaded(record.key, self._clock(), known.request_id)
            self.contents[record.key] = data
            self._label_store.mark_uploaded(record.key, event.upload_time, sha256)
            self._announce(event)
            return event

    def open(self, key: str) -> BinaryIO:
        if key not in self.contents:
            raise ImageNotFound
        return io.BytesIO(self.contents[key])

    def delete(self, key: str) -> None:
        with self._lock:
            self.contents.pop(key, None)

    def _again(self, known: ImageRecord, upload_time: datetime, data: bytes) -> ImageUploaded:
        if len(data) != known.size:
            raise UploadMismatch
        if hashlib.sha256(data).hexdigest() != known.sha256:
            raise AlreadyUploaded
        return ImageUploaded(known.key, upload_time, known.request_id)


def _verified(record: ImageRecord, data: bytes) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    if len(data) != record.size or record.sha256 not in {None, sha256}:
        raise UploadMismatch
    return sha256


@dataclass
class _Queued(Generic[E]):
    id: str
    event: E
    due_time: datetime
    receive_count: int = 0
    receipt: str | None = None
    leased_until: float = 0.0
    dead: DeadLetter | None = None


class FakeEventQueue(Generic[E]):
    """A list of messages and a lock."""

    def __init__(
        self,
        name: str = "images",
        *,
        visibility_timeout_s: float = 300.0,
        max_receive_count: int = 5,
        clock: Clock = now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._visibility_timeout_s = visibility_timeout_s
        self._max_receive_count = max_receive_count
        self._clock = clock
        self._monotonic = monotonic
        self._messages: list[_Queued[E]] = []
        self._changed = threading.Condition()

    def send(self, events: Sequence[E], delay_s: float = 0.0) -> None:
        due_time = self._clock() + timedelta(seconds=delay_s)
        with self._changed:
            for event in events:
                message_id = event.id if isinstance(event, NotificationDue) else secrets.token_hex(16)
                if message_id not in {message.id for message in self._messages}:
                    self._messages.append(_Queued(message_id, event, due_time))
            self._changed.notify_all()

    def receive(self, limit: int, wait_s: float) -> list[Message[E]]:
        with self._changed:
            self._changed.wait_for(self._due, timeout=wait_s)
            return [self._lease(message) for message in self._due()[:limit]]

    def delete(self, messages: Sequence[Message[E]]) -> None:
        with self._changed:
            owned = [self._owned(message) for message in messages]
            self._messages = [message for message in self._messages if not any(message is one for one in owned)]

    def release(self, message: Message[E], reason: str, delay_s: float, *, is_counted: bool = True) -> None:
        with self._changed:
            if message.is_last and is_counted:
                self.bury(message, reason)
            elif (queued := self._owned(message)) is not None:
                queued.receipt = None
                queued.receive_count -= not is_counted
                queued.due_time = self._clock() + timedelta(seconds=delay_s)
                self._changed.notify_all()

    def bury(self, message: Message[E], reason: str) -> None:
        with self._changed:
            if (queued := self._owned(message)) is not None:
                self._bury(queued, reason)

    def depth(self) -> int:
        return sum(message.dead is None for message in self._messages)

    def dead_letters(self, limit: int = 50, cursor: str | None = None) -> Page[DeadLetter]:
        dead = [message.dead for message in self._messages if message.dead is not None]
        return _page(dead, limit, cursor, _dead_place)

    def redrive(self, ids: Iterable[str] | None = None) -> list[str]:
        wanted = None if ids is None else set(ids)
        with self._changed:
            dead = [one for one in self._messages if one.dead and (wanted is None or one.id in wanted)]
            for message in dead:
                message.dead, message.receive_count, message.due_time = None, 0, self._clock()
            self._changed.notify_all()
            return [message.event.key for message in dead]

    def forget(self, unwanted: Callable[[E], bool]) -> None:
        """Drop every message, dead letters included, whose event is unwanted."""
        with self._changed:
            self._messages = [message for message in self._messages if not unwanted(message.event)]

    def _due(self) -> list[_Queued[E]]:
        for message in self._messages:
            if message.receipt is not None and message.leased_until <= self._monotonic():
                message.receipt = None
                message.due_time = self._clock()
                if message.receive_count >= self._max_receive_count:
                    self._bury(message, f"It was received {message.receive_count} times and never finished.")
        moment = self._clock()
        return [m for m in self._messages if m.receipt is None and m.dead is None and m.due_time <= moment]

    def _lease(self, queued: _Queued[E]) -> Message[E]:
        queued.receipt = secrets.token_hex(16)
        queued.leased_until = self._monotonic() + self._visibility_timeout_s
        queued.receive_count += 1
        is_last = queued.receive_count >= self._max_receive_count
        return Message(queued.id, queued.event, queued.receipt, queued.receive_count, is_last)

    def _owned(self, message: Message[E]) -> _Queued[E] | None:
        return next((one for one in self._messages if one.id == message.id and one.receipt == message.receipt), None)

    def _bury(self, queued: _Queued[E], reason: str) -> None:
        queued.receipt = None
        queued.dead = DeadLetter(queued.id, self.name, queued.event.key, reason, queued.receive_count, self._clock())


class FakeOutboxes:
    """One fake queue a subscription, made when it is first needed."""

    def __init__(self, new_queue: Callable[[str], FakeEventQueue[NotificationDue]] = FakeEventQueue) -> None:
        self.queues: dict[str, FakeEventQueue[NotificationDue]] = {}
        self._new_queue = new_queue

    def due(self) -> list[str]:
        return [subscription_id for subscription_id, queue in self.queues.items() if queue._due()]

    def outbox(self, subscription_id: str) -> FakeEventQueue[NotificationDue]:
        if subscription_id not in self.queues:
            self.queues[subscription_id] = self._new_queue(f"outbox/{subscription_id}")
        return self.queues[subscription_id]

    def dead_letters(self, limit: int = 50, cursor: str | None = None) -> Page[DeadLetter]:
        letters = [letter for queue in self.queues.values() for letter in queue.dead_letters(1000).items]
        return _page(letters, limit, cursor, _dead_place)

    def redrive(self, ids: Iterable[str] | None = None) -> list[str]:
        wanted = None if ids is None else list(ids)
        return [key for queue in self.queues.values() for key in queue.redrive(wanted)]


class FakeLabelStore:
    """Records in a dictionary; searches by looking at every one."""

    def __init__(self, outboxes: FakeOutboxes, *, clock: Clock = now) -> None:
        self.records: dict[str, ImageRecord] = {}
        self._outboxes = outboxes
        self._clock = clock
        self._deleted: set[str] = set()
        self._subscriptions: dict[str, Subscription] = {}
        self._lock = threading.RLock()

    def create(self, record: ImageRecord) -> None:
        with self._lock:
            if record.key not in self._deleted:
                self.records.setdefault(record.key, record)

    def get(self, key: str) -> ImageRecord:
        if key not in self.records:
            raise ImageNotFound
        return self.records[key]

    def mark_uploaded(self, key: str, upload_time: datetime, sha256: str) -> None:
        """Note that the bytes are stored."""
        with self._lock:
            self.records[key] = replace(self.get(key), upload_time=upload_time, sha256=sha256)

    def save(self, key: str, recognition: Recognition) -> ImageRecord | None:
        with self._lock:
            if (before := self.records.get(key)) is None:
                return None
            record = self.records[key] = _recognized(before, recognition, self._clock())
            if (before.recognizer, before.model_version) != (recognition.recognizer, recognition.model_version):
                self._announce(ImageRecognized.of(record))
            return record.without_properties()

    def save_failure(self, key: str, error: Exception) -> ImageRecord | None:
        status = ImageStatus.REJECTED if isinstance(error, UnreadableImage) else ImageStatus.FAILED
        reason = error.message if isinstance(error, LumitagError) else str(error) or type(error).__name__
        with self._lock:
            record = self.records.get(key)
            if record is None or record.status is ImageStatus.RECOGNIZED:
                return None
            self.records[key] = replace(record, status=status, reason=reason)
            return self.records[key]

    def delete(self, key: str) -> None:
        with self._lock:
            if self.records.pop(key, None) is None:
                raise ImageNotFound
            self._deleted.add(key)
            for queue in self._outboxes.queues.values():
                queue.forget(lambda due: due.key == key)

    def search(self, query: ImageQuery) -> Page[ImageRecord]:
        found = [record for record in self.records.values() if matches(record, query)]
        shown = found if query.with_properties else [record.without_properties() for record in found]
        return _page(shown, query.limit, query.cursor, _place)

    def label_counts(self, prefix: str = "", limit: int = 50) -> list[LabelCount]:
        names = [name for record in self.records.values() for name in {label.name for label in record.labels}]
        counts = [LabelCount(name, names.count(name)) for name in set(names)]
        wanted = [count for count in counts if count.name.casefold().startswith(prefix.casefold())]
        return sorted(wanted, key=lambda count: (-count.count, count.name))[:limit]

    def subscribe(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.id] = subscription

    def unsubscribe(self, subscription_id: str) -> None:
        if self._subscriptions.pop(subscription_id, None) is None:
            raise SubscriptionNotFound
        self._outboxes.outbox(subscription_id).forget(lambda _: True)

    def subscription(self, subscription_id: str) -> Subscription:
        if subscription_id not in self._subscriptions:
            raise SubscriptionNotFound
        return self._subscriptions[subscription_id]

    def subscriptions(self) -> list[Subscription]:
        return sorted(self._subscriptions.values(), key=lambda one: (one.created_time, one.id))

    def _announce(self, image: ImageRecognized) -> None:
        for subscription in self.subscriptions():
            if subscription.wants(image.labels):
                delay_s = (_next_digest(subscription.frequency, self._clock()) - self._clock()).total_seconds()
                self._outboxes.outbox(subscription.id).send([NotificationDue.of(subscription, image)], delay_s)


@dataclass
class FakeRecognizer:
    """Finds what it was told to find; `answers` by key may be errors. Remembers what it was asked."""

    labels: tuple[Label, ...] = (DOG,)
    properties: ImageProperties | None = None
    model_version: str = "fake-1"
    answers: dict[str, Recognition | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    object_store: FakeObjectStore | None = None

    def recognize(self, key: str) -> Recognition:
        self.asked.append(key)
        if self.object_store is not None:
            self.object_store.open(key).close()
        found = Recognition(self.labels, 640, 480, "embedded", self.model_version, self.properties)
        answer = self.answers.get(key, found)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class RecordingNotifier:
    """Remembers who was told what; raises `error` instead while there is one."""

    sent: list[tuple[Subscription, NotificationDue]] = field(default_factory=list)
    error: Exception | None = None

    def notify(self, subscription: Subscription, notifications: Sequence[NotificationDue]) -> None:
        if self.error is not None:
            raise self.error
        self.sent.extend((subscription, due) for due in notifications)


def matches(record: ImageRecord, query: ImageQuery) -> bool:
    """Return whether a search shows the record: the contract of `ImageQuery`, word by word."""
    sure = [label for label in record.labels if label.confidence >= query.min_confidence]
    names = {name.casefold() for label in sure for name in (label.name, *label.aliases)}
    return (
        record.upload_time is not None
        and all(name.casefold() in names for name in query.all_of)
        and (not query.any_of or any(name.casefold() in names for name in query.any_of))
        and not any(name.casefold() in names for name in query.none_of)
        and query.status in {None, record.status}
        and (query.after is None or record.upload_time >= query.after)
        and (query.before is None or record.upload_time < query.before)
    )


def _recognized(record: ImageRecord, recognition: Recognition, recognized_time: datetime) -> ImageRecord:
    return replace(
        record,
        status=ImageStatus.RECOGNIZED,
        reason=None,
        labels=recognition.labels,
        width=recognition.width,
        height=recognition.height,
        recognizer=recognition.recognizer,
        model_version=recognition.model_version,
        recognized_time=recognized_time,
        properties=recognition.properties,
    )


def _next_digest(frequency: Frequency, moment: datetime) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    match frequency:
        case Frequency.EACH:
            return moment
        case Frequency.HOURLY:
            return hour + timedelta(hours=1)
        case Frequency.DAILY:
            return hour.replace(hour=0) + timedelta(days=1)


def _place(record: ImageRecord) -> str:
    assert record.upload_time is not None
    return f"{record.upload_time.isoformat(timespec='microseconds')} {record.key}"


def _dead_place(letter: DeadLetter) -> str:
    return f"{letter.dead_time.isoformat(timespec='microseconds')} {letter.id}"


def _page(items: Iterable[T], limit: int, cursor: str | None, place_of: Callable[[T], str]) -> Page[T]:
    """Return the items after the cursor; the greatest place, which is the newest, comes first."""
    if cursor is not None and not cursor.startswith("after "):
        raise InvalidCursor
    rest = [item for item in items if cursor is None or place_of(item) < cursor.removeprefix("after ")]
    newest_first = sorted(rest, key=place_of, reverse=True)
    shown = newest_first[:limit]
    return Page(tuple(shown), f"after {place_of(shown[-1])}" if newest_first[limit:] else None)
