"""One outbox a subscription: a dead receiver delays nobody else, and everything that waits can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lumitag.adapters.local._database import Database
from lumitag.adapters.local.label_store import SQLiteLabelStore
from lumitag.adapters.local.outboxes import SQLiteOutboxes
from lumitag.domain import Channel, Subscription
from lumitag.errors import InvalidCursor
from lumitag.events import ImageRecognized, NotificationDue

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MAIL = Subscription("mail1", Channel.MAIL, "a@b.example", NOON)
HOOK = Subscription("hook1", Channel.WEBHOOK, "https://a.example", NOON)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "lumitag.sqlite3")
    yield database
    database.close()


@pytest.fixture
def outboxes(database: Database) -> SQLiteOutboxes:
    outboxes = SQLiteOutboxes(database, [Channel.WEBHOOK], visibility_timeout_s=60, max_receive_count=2)
    store = SQLiteLabelStore(database, outboxes)
    store.subscribe(MAIL)
    store.subscribe(HOOK)
    return outboxes


def due(subscription: Subscription, key: str = "k1") -> NotificationDue:
    return NotificationDue.of(subscription, ImageRecognized(key, f"{key}.jpg", (), "v1", NOON, "request-1"))


def test_only_channels_that_can_be_delivered_are_due(outboxes: SQLiteOutboxes) -> None:
    outboxes.outbox("mail1").send([due(MAIL)])
    assert outboxes.due() == []

    outboxes.outbox("hook1").send([due(HOOK)])
    assert outboxes.due() == ["hook1"]


def test_what_is_delayed_is_not_due(outboxes: SQLiteOutboxes) -> None:
    outboxes.outbox("hook1").send([due(HOOK)], delay_s=3600)

    assert outboxes.due() == []
    assert outboxes.depth() == 1


def test_what_waits_can_be_seen_with_its_image(outboxes: SQLiteOutboxes) -> None:
    outboxes.outbox("hook1").send([due(HOOK)])

    [waiting] = outboxes.waiting(10)

    assert waiting["subscriptionId"] == "hook1"
    assert waiting["fileName"] == "k1.jpg"
    assert waiting["attempts"] == 0
    assert waiting["reason"] is None
    assert waiting["dueTime"].endswith("Z")


def test_what_is_due_without_a_mail_server_says_so(outboxes: SQLiteOutboxes) -> None:
    outboxes.outbox("mail1").send([due(MAIL)])
    outboxes.outbox("mail1").send([due(MAIL, "k2")], delay_s=3600)

    now, later = outboxes.waiting(10)

    assert "LUMITAG_SMTP_HOST" in now["reason"]
    assert later["reason"] is None


def test_a_delivery_that_took_too_long_is_due_again(database: Database) -> None:
    seconds = [1000.0]
    outboxes = SQLiteOutboxes(
        database, [Channel.WEBHOOK], visibility_timeout_s=60, max_receive_count=2, monotonic=lambda: seconds[0]
    )
    SQLiteLabelStore(database, outboxes).subscribe(HOOK)
    outboxes.outbox("hook1").send([due(HOOK)])
    outboxes.outbox("hook1").receive(1, 0)
    assert outboxes.due() == []

    seconds[0] += 60

    assert outboxes.due() == ["hook1"]
    assert outboxes.outbox("hook1").receive(1, 0)[0].receive_count == 2


def test_what_a_dead_server_was_delivering_is_freed(outboxes: SQLiteOutboxes) -> None:
    outbox = outboxes.outbox("hook1")
    outbox.send([due(HOOK)])
    outbox.receive(1, 0)

    assert outboxes.due() == []
    assert outboxes.release_abandoned() == 1
    assert outboxes.due() == ["hook1"]
    assert outboxes.outbox("hook1").receive(1, 0)[0].receive_count == 1


def test_dead_letters_of_all_subscriptions_are_listed_newest_first_and_redriven(outboxes: SQLiteOutboxes) -> None:
    for subscription, key in ((HOOK, "k1"), (MAIL, "k2"), (HOOK, "k3")):
        outbox = outboxes.outbox(subscription.id)
        outbox.send([due(subscription, key)])
        [message] = outbox.receive(1, 0)
        outbox.bury(message, "nobody there")

    first = outboxes.dead_letters(limit=2)
    second = outboxes.dead_letters(limit=2, cursor=first.next_cursor)

    assert [letter.key for letter in first.items] == ["k3", "k2"]
    assert [letter.key for letter in second.items] == ["k1"]
    assert second.next_cursor is None
    assert {letter.queue for letter in first.items} == {"notifications"}
    assert outboxes.redrive([first.items[0].id, "nobody"]) == ["k3"]
    assert sorted(outboxes.redrive()) == ["k1", "k2"]
    assert outboxes.redrive() == []


def test_a_foreign_cursor_is_refused(outboxes: SQLiteOutboxes) -> None:
    with pytest.raises(InvalidCursor):
        outboxes.dead_letters(cursor="nonsense")
