"""What the local label store promises beyond the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from lumitag.adapters.local import _records
from lumitag.adapters.local._database import Database
from lumitag.adapters.local._label_index import move_labels
from lumitag.adapters.local._search import find_page
from lumitag.adapters.local.event_queue import SQLiteEventQueue
from lumitag.adapters.local.label_store import TOMBSTONE_LIFETIME, SQLiteLabelStore
from lumitag.adapters.local.outboxes import SQLiteOutboxes
from lumitag.domain import (
    Channel,
    ImageQuery,
    ImageRecord,
    ImageStatus,
    Label,
    Recognition,
    Subscription,
    new_key,
)
from lumitag.errors import DamagedImage
from lumitag.events import ImageDeleted, ImageRecognized, ImageUploaded
from tests.contracts.conftest import Clock, outboxes_on

DOG = Label("Dog", "n02084071", 98.3, aliases=("Canine",))
CAT = Label("Cat", "n02121620", 75.0)


@dataclass
class Room:
    """The label store and what it stands on."""

    store: SQLiteLabelStore
    database: Database
    outboxes: SQLiteOutboxes
    queue: SQLiteEventQueue[ImageUploaded]
    clock: Clock
    changes: list[ImageRecord | ImageDeleted]

    def uploaded(self, file_name: str = "cat.jpg") -> ImageRecord:
        self.clock.advance(1)
        moment = self.clock.now()
        record = ImageRecord(new_key(), file_name, "image/jpeg", 3, moment, upload_time=moment)
        self.store.create(record)
        return record

    def accepted(self) -> ImageRecord:
        record = ImageRecord(new_key(), "cat.jpg", "image/jpeg", 3, self.clock.now())
        self.store.create(record)
        return record

    def subscribe(self) -> str:
        self.store.subscribe(Subscription("you", Channel.MAIL, "you@example.com", self.clock.now()))
        return "you"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with ExitStack() as closing:
        yield build(SQLiteLabelStore, tmp_path, closing)


def build(kind: type[SQLiteLabelStore], folder: Path, closing: ExitStack) -> Room:
    clock = Clock()
    database = Database(folder / "test.sqlite3")
    closing.callback(database.close)
    outboxes = outboxes_on(database, clock)
    changes: list[ImageRecord | ImageDeleted] = []
    store = kind(database, outboxes, on_change=changes.append, clock=clock.now)
    queue = SQLiteEventQueue(
        database,
        "images",
        ImageUploaded.from_json,
        visibility_timeout_s=30,
        max_receive_count=3,
        on_dead=store.fail_pending,
        clock=clock.now,
        monotonic=clock.monotonic,
    )
    return Room(store, database, outboxes, queue, clock, changes)


def recognition(*labels: Label) -> Recognition:
    return Recognition(labels, 640, 480, "embedded", "v1")


# Labels and news are one


class HastyLabelStore(SQLiteLabelStore):
    """A mutant: it stores the labels first and tells about them in a second transaction."""

    def save(self, key: str, recognition: Recognition) -> ImageRecord | None:
        announce, self._announce = self._announce, lambda *_: None  # type: ignore[method-assign]
        record = super().save(key, recognition)
        assert record is not None
        self._database.write(lambda connection: announce(connection, ImageRecognized.of(record)))
        return record


class Crash(BaseException):
    """The end of the process, as far as a transaction can tell."""


def saves_both_or_neither(kind: type[SQLiteLabelStore], folder: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether a crash while the news is written leaves the labels unwritten too."""

    def crash(*_: object) -> None:
        raise Crash

    with ExitStack() as closing:
        room = build(kind, folder, closing)
        room.subscribe()
        record = room.uploaded()
        monkeypatch.setattr(SQLiteEventQueue, "enqueue", crash)
        with pytest.raises(Crash):
            room.store.save(record.key, recognition(DOG))
        return room.store.get(record.key).status is ImageStatus.PENDING


def test_labels_and_news_of_them_are_stored_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert saves_both_or_neither(SQLiteLabelStore, tmp_path, monkeypatch)


def test_that_test_would_notice_news_told_in_a_second_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not saves_both_or_neither(HastyLabelStore, tmp_path, monkeypatch)


# Live changes


def test_each_change_is_told_after_its_commit(room: Room) -> None:
    record, other = room.uploaded(), room.uploaded()
    saved = room.store.save(record.key, recognition(DOG))
    failed = room.store.save_failure(other.key, DamagedImage())
    room.store.delete(record.key)

    assert room.changes == [saved, failed, ImageDeleted(record.key)]


def test_a_change_that_is_undone_is_not_told(room: Room) -> None:
    record = room.uploaded()

    def change(connection: sqlite3.Connection) -> None:
        room.store._delete(connection, record.key)
        raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        room.database.write(change)
    assert room.changes == []
    assert room.store.get(record.key) == record


# Deletion


def test_labels_of_a_change_that_is_undone_are_not_taken_for_others(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their place in the dictionary is undone, too, and given to the next new label."""

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    room.subscribe()
    first, second = room.uploaded(), room.uploaded()
    monkeypatch.setattr(room.store, "_announce", fail)
    with pytest.raises(sqlite3.OperationalError):
        room.store.save(first.key, recognition(Label("Zebra", "zebra", 99.0)))
    monkeypatch.undo()

    saved = room.store.save(second.key, recognition(Label("Yak", "yak", 99.0)))

    assert saved is not None
    assert [label.name for label in saved.labels] == ["Yak"]
    assert [label.name for label in room.store.get(second.key).labels] == ["Yak"]


def test_deleting_drops_the_messages_of_all_queues(room: Room) -> None:
    subscription = room.subscribe()
    record, other = room.uploaded(), room.uploaded()
    room.queue.send([ImageUploaded(one.key, one.created_time) for one in (record, other)])
    room.queue.bury(room.queue.receive(1, 0)[0], "dead letters too")
    room.store.save(record.key, recognition(DOG))
    room.store.delete(record.key)

    assert (room.queue.depth(), room.queue.dead_letter_count()) == (1, 0)
    assert room.outboxes.outbox(subscription).depth() == 0


def test_of_a_deleted_image_no_word_is_left_on_the_disk(room: Room) -> None:
    words = {name: f"marker-{name}-7f3a9c" for name in ("file", "label", "alias", "concept", "reason")}
    room.subscribe()
    record = room.uploaded(words["file"])
    room.store.save_failure(record.key, DamagedImage(words["reason"]))
    room.store.save(record.key, recognition(Label(words["label"], words["concept"], 50, aliases=(words["alias"],))))
    room.store.delete(record.key)
    assert room.database.checkpoint()
    room.database.close()

    disk = b"".join(path.read_bytes() for path in room.database.path.parent.iterdir())
    assert record.key.encode() in disk  # the tombstone
    assert [word for word in words.values() if word.encode() in disk] == []


def test_tombstones_are_forgotten_in_the_end(room: Room) -> None:
    room.store.delete(room.uploaded().key)
    room.clock.advance(TOMBSTONE_LIFETIME.total_seconds())
    assert room.store.forget_expired_tombstones() == 0
    room.clock.advance(1)
    assert room.store.forget_expired_tombstones() == 1


# Housekeeping


def test_an_uploaded_image_without_a_message_is_unfinished(room: Room) -> None:
    lost, queued, _ = room.uploaded(), room.uploaded(), room.accepted()
    room.queue.send([ImageUploaded(queued.key, queued.created_time)])
    room.store.save(room.uploaded().key, recognition(DOG))

    assert room.store.unfinished("images") == [lost.key]


def test_an_image_whose_message_died_is_failed_in_the_same_moment(room: Room) -> None:
    record = room.uploaded()
    room.queue.send([ImageUploaded(record.key, record.created_time)])
    room.queue.bury(room.queue.receive(1, 0)[0], "five crashes")

    failed = room.store.get(record.key)
    assert (failed.status, failed.reason) == (ImageStatus.FAILED, "five crashes")


def test_a_dead_message_does_not_overrule_an_image_that_is_done(room: Room) -> None:
    record = room.uploaded()
    room.queue.send([ImageUploaded(record.key, record.created_time)])
    room.store.save(record.key, recognition(DOG))
    room.queue.bury(room.queue.receive(1, 0)[0], "five crashes")

    assert room.store.get(record.key).status is ImageStatus.RECOGNIZED


def test_stored_keys_are_listed_in_order_and_in_parts(room: Room) -> None:
    keys = sorted(room.uploaded().key for _ in range(5))
    room.accepted()

    assert room.store.stored_keys(limit=3) == keys[:3]
    assert room.store.stored_keys(after_key=keys[2]) == keys[3:]


def test_images_are_counted_by_status_whatever_happens_to_them(room: Room) -> None:
    accepted, deleted, pending, done = room.accepted(), room.uploaded(), room.uploaded(), room.uploaded()
    later, failed, redone = room.accepted(), room.uploaded(), room.uploaded()
    room.store.save(done.key, recognition(DOG))
    room.store.save(done.key, recognition(CAT))
    room.store.save(later.key, recognition(DOG))
    room.database.write(lambda connection: _upload(connection, later.key, room.clock))
    room.store.save_failure(failed.key, DamagedImage())
    room.store.save_failure(redone.key, DamagedImage())
    room.store.save(redone.key, recognition(DOG))
    room.store.delete(deleted.key)
    room.store.delete(accepted.key)

    assert room.store.get(pending.key).status is ImageStatus.PENDING
    assert room.store.counts_by_status() == {
        ImageStatus.PENDING: 1,
        ImageStatus.RECOGNIZED: 3,
        ImageStatus.REJECTED: 1,
        ImageStatus.FAILED: 0,
    }


# Search


def test_images_uploaded_in_the_same_moment_are_all_found(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_records, "_tie", lambda _: 7)
    moment = room.clock.now()
    records = [ImageRecord(new_key(), "", "image/jpeg", 3, moment, upload_time=moment) for _ in range(3)]
    for record in records:
        room.store.create(record)
        room.store.create(replace(record, key=new_key(), upload_time=None))

    first = room.store.search(ImageQuery(limit=2))
    rest = room.store.search(ImageQuery(limit=2, cursor=first.next_cursor))
    assert {record.key for record in (*first.items, *rest.items)} == {record.key for record in records}


QUERIES = [
    ImageQuery(),
    ImageQuery(status=ImageStatus.RECOGNIZED),
    ImageQuery(all_of=("Dog",)),
    ImageQuery(all_of=("Dog", "Cat"), none_of=("Sky",), min_confidence=50),
    ImageQuery(any_of=("Dog", "Cat"), status=ImageStatus.RECOGNIZED),
    ImageQuery(none_of=("Dog",), status=ImageStatus.PENDING),
]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_no_search_scans_a_table_or_sorts_what_it_found(room: Room, query: ImageQuery) -> None:
    """However many images there are, a page is read straight from an index, in order, and then it stops."""
    for labels in ((DOG,), (CAT, DOG), (Label("Sky", "sky", 60.0),)):
        room.store.save(room.uploaded().key, recognition(*labels))
    moment = room.clock.now()
    query = replace(query, after=moment - timedelta(hours=1), before=moment + timedelta(hours=1))
    statements: list[str] = []
    with room.database.read() as connection:
        connection.set_trace_callback(statements.append)
        find_page(connection, query)
        connection.set_trace_callback(None)
        plans = [connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall() for statement in statements]

    steps = [row["detail"] for plan in plans for row in plan]
    assert steps
    assert [step for step in steps if "SCAN" in step or "TEMP B-TREE" in step] == []


def test_labels_saved_before_the_upload_was_known_are_found_after_it(room: Room) -> None:
    record = room.accepted()
    room.store.save(record.key, recognition(DOG))
    assert room.store.search(ImageQuery(all_of=("Dog",))).items == ()

    room.database.write(lambda connection: _upload(connection, record.key, room.clock))
    assert [one.key for one in room.store.search(ImageQuery(all_of=("Dog",))).items] == [record.key]


def _upload(connection: sqlite3.Connection, key: str, clock: Clock) -> None:
    row = _records.find(connection, key)
    assert row is not None
    move_labels(connection, row["id"], _records.mark_uploaded(connection, row, clock.now(), "0" * 64))
