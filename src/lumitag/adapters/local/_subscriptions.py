"""Rows of the table `subscriptions`: who is told."""

from __future__ import annotations

import json
import sqlite3

from lumitag.adapters.local._messages import delete_messages_to
from lumitag.domain import Channel, Frequency, Subscription, time_from_ms, time_to_ms
from lumitag.errors import SubscriptionNotFound


def all_subscriptions(connection: sqlite3.Connection) -> list[Subscription]:
    """Return all subscriptions, oldest first."""
    return [
        _subscription_of(row) for row in connection.execute("SELECT * FROM subscriptions ORDER BY created_time, id")
    ]


def keep_subscription(connection: sqlite3.Connection, subscription: Subscription) -> None:
    """Keep a subscription, in place of one with the same id."""
    connection.execute(
        """
        INSERT OR REPLACE INTO subscriptions
            (id, channel, address, created_time, labels, min_confidence, frequency, secret)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            subscription.id,
            subscription.channel.value,
            subscription.address,
            time_to_ms(subscription.created_time),
            json.dumps(subscription.labels),
            subscription.min_confidence,
            subscription.frequency.value,
            subscription.secret,
        ),
    )


def forget_subscription(connection: sqlite3.Connection, subscription_id: str) -> None:
    """Forget a subscription and what waits to be told to it. Raises SubscriptionNotFound."""
    if not connection.execute("DELETE FROM subscriptions WHERE id = ?", (subscription_id,)).rowcount:
        raise SubscriptionNotFound
    delete_messages_to(connection, subscription_id)


def _subscription_of(row: sqlite3.Row) -> Subscription:
    return Subscription(
        id=row["id"],
        channel=Channel(row["channel"]),
        address=row["address"],
        created_time=time_from_ms(row["created_time"]),
        labels=tuple(json.loads(row["labels"])),
        min_confidence=row["min_confidence"],
        frequency=Frequency(row["frequency"]),
        secret=row["secret"],
    )


def find_subscription(connection: sqlite3.Connection, subscription_id: str) -> Subscription:
    """Return one subscription. Raises SubscriptionNotFound."""
    row = connection.execute("SELECT * FROM subscriptions WHERE id = ?", (subscription_id,)).fetchone()
    if row is None:
        raise SubscriptionNotFound
    return _subscription_of(row)
