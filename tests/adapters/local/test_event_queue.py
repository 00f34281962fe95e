"""What the local event queue promises beyond the contract, and the mutants that the contract must catch."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest

from lumitag.adapters.local import event_queue
from lumitag.adapters.local._database import Database
from lumitag.adapters.local.event_queue import OnDead, SQLiteEventQueue
from lumitag.domain import Channel, Json, Label, new_key, time_from_ms
from lumitag.events import ImageRecognized, ImageUploaded, NotificationDue
from tests.contracts import test_event_queue as contract
from tests.contracts.conftest import MAX_RECEIVE_COUNT, VISIBILITY_TIMEOUT_S, Clock, Stores, local

Queue = SQLiteEventQueue[ImageUploaded]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "test.sqlite3")) as database:
        yield database


@pytest.fixture
def queue(database: Database, clock: Clock) -> Queue:
    return queue_named("images", database, clock)


def queue_named(name: str, database: Database, clock: Clock, on_dead: OnDead | None = None) -> Queue:
    return SQLiteEventQueue(
        database,
        name,
        ImageUploaded.from_json,
        visibility_timeout_s=VISIBILITY_TIMEOUT_S,
        max_receive_count=MAX_RECEIVE_COUNT,
        on_dead=on_dead,
        clock=clock.now,
        monotonic=clock.monotonic,
    )


def uploaded(clock: Clock) -> ImageUploaded:
    return ImageUploaded(new_key(), clock.now())


def notification(name: str) -> NotificationDue:
    image = ImageRecognized(new_key(), "cat.jpg", (Label("Cat", "n02121620", 90.0),), "v1", time_from_ms(0))
    return NotificationDue(name, "you", Channel.MAIL, image)


def test_queues_of_different_names_do_not_mix(database: Database, clock: Clock) -> None:
    cats, dogs = (queue_named(name, database, clock) for name in ("cats", "dogs"))
    cats.send([cat := uploaded(clock)])
    dogs.send([uploaded(clock)])
    dogs.bury(dogs.receive(1, 0)[0], "hopeless")

    assert (cats.depth(), dogs.depth()) == (1, 0)
    assert cats.redrive() == []
    assert [message.event for message in cats.receive(10, 0)] == [cat]


def test_messages_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    with closing(Database(tmp_path / "test.sqlite3")) as database:
        queue_named("images", database, clock).send([event := uploaded(clock)])

    with closing(Database(tmp_path / "test.sqlite3")) as database:
        assert [message.event for message in queue_named("images", database, clock).receive(1, 0)] == [event]


def test_a_message_of_a_change_that_is_undone_was_never_sent(database: Database, queue: Queue, clock: Clock) -> None:
    def change(connection: sqlite3.Connection) -> None:
        queue.enqueue(connection, [uploaded(clock)])
        raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        database.write(change)
    assert queue.depth() == 0


def test_a_message_of_another_process_is_seen(tmp_path: Path, queue: Queue, clock: Clock) -> None:
    """Nobody in this process announces it: whoever waits looks by itself once a second."""
    with closing(Database(tmp_path / "test.sqlite3")) as elsewhere:
        queue_named("images", elsewhere, clock).send([event := uploaded(clock)])

        assert [message.event for message in queue.receive(1, 30)] == [event]


def test_a_waiting_notification_is_not_queued_twice(database: Database, clock: Clock) -> None:
    outbox = SQLiteEventQueue(
        database, "outbox", NotificationDue.from_json, visibility_timeout_s=30, max_receive_count=3
    )
    due = notification("one")
    outbox.send([due, due])
    outbox.send([due])

    [message] = outbox.receive(10, 0)
    assert (message.id, message.event) == ("one", due)


def test_an_idle_queue_writes_nothing(database: Database, queue: Queue, clock: Clock) -> None:
    queue.send([uploaded(clock)], delay_s=60)
    written: list[str] = []
    database._connection.set_trace_callback(written.append)

    assert queue.receive(10, 0.05) == []
    assert written == []


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
def test_setting_the_clock_neither_delays_new_messages_nor_moves_leases(queue: Queue, clock: Clock, hours: int) -> None:
    queue.send([uploaded(clock), uploaded(clock)])
    [first] = queue.receive(1, 0)
    clock.moment += timedelta(hours=hours)

    [second] = queue.receive(10, 0)
    assert second.id != first.id
    clock.seconds += VISIBILITY_TIMEOUT_S
    assert len(queue.receive(10, 0)) == 2


def test_messages_that_never_waited_come_before_those_that_did(queue: Queue, clock: Clock) -> None:
    """A pile of images to be labelled again, or of failures, does not stand before a new upload."""
    queue.send([delayed := uploaded(clock)], delay_s=1)
    clock.advance(2)
    queue.send([fresh := uploaded(clock)])

    assert [message.event for message in queue.receive(10, 0)] == [fresh, delayed]


def test_what_a_dead_server_held_is_free_at_once_and_does_not_count(queue: Queue, clock: Clock) -> None:
    queue.send([uploaded(clock), uploaded(clock)])
    queue.receive(1, 0)

    assert queue.release_abandoned() == 1
    assert [message.receive_count for message in queue.receive(10, 0)] == [1, 1]


def test_a_message_that_cannot_be_read_is_a_dead_letter_and_stops_nobody(
    database: Database, queue: Queue, clock: Clock
) -> None:
    class Unknown(ImageUploaded):
        def to_json(self) -> Json:
            return {"type": "SomethingNewer"}

    queue.send([Unknown("k", clock.now()), event := uploaded(clock)])

    assert [message.event for message in queue.receive(10, 0)] == [event]
    [letter] = queue.dead_letters().items
    assert "cannot be read" in letter.reason


def test_each_death_is_told_inside_its_transaction(database: Database, clock: Clock) -> None:
    deaths: list[tuple[str, str]] = []
    queue = queue_named("images", database, clock, lambda _, key, reason: deaths.append((key, reason)))
    queue.send([buried := uploaded(clock), expired := uploaded(clock)])
    first, _ = queue.receive(2, 0)
    queue.bury(first, "hopeless")
    for _ in range(MAX_RECEIVE_COUNT):
        clock.advance(VISIBILITY_TIMEOUT_S)
        queue.receive(1, 0)

    assert deaths == [(buried.key, "hopeless"), (expired.key, "It was received 3 times and never finished.")]


def test_a_death_that_cannot_be_told_does_not_happen(database: Database, clock: Clock) -> None:
    def refuse(_: sqlite3.Connection, key: str, reason: str) -> None:
        raise ValueError(key, reason)

    queue = queue_named("images", database, clock, refuse)
    queue.send([uploaded(clock)])
    [message] = queue.receive(1, 0)

    with pytest.raises(ValueError, match="hopeless"):
        queue.bury(message, "hopeless")
    assert (queue.depth(), queue.dead_letter_count()) == (1, 0)


def test_what_waits_is_listed_in_the_order_of_delivery(queue: Queue, clock: Clock) -> None:
    queue.send([later := uploaded(clock)], delay_s=60)
    queue.send([failed := uploaded(clock)])
    [message] = queue.receive(1, 0)
    queue.release(message, "no answer", 30)
    queue.send([fresh := uploaded(clock)])

    listed = [(one.key, one.due_time, one.receive_count, one.reason) for one in queue.waiting()]
    assert listed == [
        (fresh.key, None, 0, None),
        (failed.key, clock.now() + timedelta(seconds=30), 1, "no answer"),
        (later.key, clock.now() + timedelta(seconds=60), 0, None),
    ]


def test_the_oldest_age_counts_from_when_a_message_was_due(queue: Queue, clock: Clock) -> None:
    assert queue.oldest_age_s() == 0
    queue.send([uploaded(clock)], delay_s=60)
    clock.advance(59)
    assert queue.oldest_age_s() == 0
    clock.advance(11)
    assert queue.oldest_age_s() == 10
    queue.send([uploaded(clock)])
    clock.advance(5)
    assert queue.oldest_age_s() == 15


def test_a_claim_looks_at_nothing_but_what_it_takes(database: Database, queue: Queue, clock: Clock) -> None:
    """However many messages wait, SQLite goes straight to the first ones: no scan, no sort."""
    queue.send([uploaded(clock)])
    statements: list[str] = []
    database._connection.set_trace_callback(statements.append)
    queue.receive(1, 0)
    database._connection.set_trace_callback(None)

    updates = [statement for statement in statements if "UPDATE messages" in statement]
    assert len(updates) == 3
    for statement in updates:
        with database.read() as connection:
            plan = " ".join(row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))
        assert "SCAN" not in plan
        assert "TEMP B-TREE" not in plan


# Mutants: each takes one promise away, and the test of that promise must fail.


@pytest.fixture
def local_stores(tmp_path: Path) -> Iterator[Stores]:
    (tmp_path / "stores").mkdir()
    with ExitStack() as closing_all:
        yield local(tmp_path / "stores", closing_all)


@pytest.mark.parametrize(
    "promise",
    [
        contract.test_deleting_late_leaves_the_message_to_its_new_owner,
        contract.test_releasing_late_leaves_the_message_to_its_new_owner,
        contract.test_burying_late_leaves_the_message_to_its_new_owner,
    ],
)
def test_the_contract_notices_a_queue_that_ignores_leases(
    local_stores: Stores, monkeypatch: pytest.MonkeyPatch, promise: Callable[[Stores], None]
) -> None:
    monkeypatch.setattr(event_queue, "_OWNED", "queue = :queue AND id = :id AND :receipt IS NOT NULL")

    with pytest.raises(AssertionError):
        promise(local_stores)


def test_the_contract_notices_a_queue_that_deletes_when_it_delivers(
    local_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = SQLiteEventQueue.receive

    def receive_and_delete(self: Queue, limit: int, wait_s: float) -> object:
        messages = receive(self, limit, wait_s)
        self.delete(messages)
        return messages

    monkeypatch.setattr(SQLiteEventQueue, "receive", receive_and_delete)
    with pytest.raises((AssertionError, ValueError)):
        contract.test_a_message_that_was_not_deleted_comes_back(local_stores)


def test_the_contract_notices_a_queue_that_forgets_to_count(
    local_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_stores.event_queue, "_max_receive_count", 1000)

    with pytest.raises(AssertionError):
        contract.test_only_the_last_delivery_is_marked_as_last(local_stores)
