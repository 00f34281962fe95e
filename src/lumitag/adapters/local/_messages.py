"""Rows of the table `messages`, and how those who wait for one are woken."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lumitag.adapters.local._cursors import cursor_of, numbers_of
from lumitag.domain import Page, time_from_ms
from lumitag.events import NotificationDue
from lumitag.ports import DeadLetter, E

LARGEST_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message that waits to be delivered. `due_time` is None for at once; `reason` is of its last failure."""

    id: str
    key: str
    due_time: datetime | None
    receive_count: int
    reason: str | None


class Arrivals:
    """Wakes whoever waits for messages when some may have arrived."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def announce(self) -> None:
        """Say that messages may have arrived."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout_s: float) -> None:
        """Wait until there are more than `seen` announcements, at most `timeout_s` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.count != seen, timeout_s)


def delete_messages_about(connection: sqlite3.Connection, key: str) -> None:
    """Drop every message about an image, from all queues and from their dead letters."""
    connection.execute("DELETE FROM messages WHERE key = ?", (key,))


def delete_messages_to(connection: sqlite3.Connection, subscription_id: str) -> None:
    """Drop everything that waits to be told to a subscriber."""
    connection.execute("DELETE FROM messages WHERE subscription_id = ?", (subscription_id,))


def row_of(event: E) -> dict[str, object]:
    """Return what is kept of an event."""
    notification = event if isinstance(event, NotificationDue) else None
    return {
        "id": notification.id if notification else secrets.token_hex(16),
        "key": event.key,
        "subscription_id": notification.subscription_id if notification else None,
        "body": json.dumps(event.to_json(), ensure_ascii=False, separators=(",", ":")),
    }


def _dead_letter_of(row: sqlite3.Row) -> DeadLetter:
    dead_time = time_from_ms(row["dead_time"])
    return DeadLetter(row["id"], row["queue"], row["key"], row["reason"], row["receive_count"], dead_time)


def dead_letter_page(
    connection: sqlite3.Connection,
    which: str,
    facts: Mapping[str, object],
    *,
    name: str,
    limit: int,
    cursor: str | None,
) -> Page[DeadLetter]:
    """Return one page of the dead letters that meet the SQL condition `which` with its `facts`, newest first.

    `name` is that of the listing, which its cursors carry. Raises InvalidCursor.
    """
    limit = max(1, min(limit, LARGEST_PAGE))
    dead_time, number = numbers_of(name, cursor, 2) if cursor is not None else [1 << 62, 0]
    rows = connection.execute(
        f"""
        SELECT * FROM messages
        WHERE {which} AND dead_time IS NOT NULL AND (dead_time, number) < (:dead_time, :number)
        ORDER BY dead_time DESC, number DESC LIMIT :limit
        """,  # noqa: S608 - the conditions are written in this package
        {**facts, "dead_time": dead_time, "number": number, "limit": limit + 1},
    ).fetchall()
    shown = rows[:limit]
    more = cursor_of(name, shown[-1]["dead_time"], shown[-1]["number"]) if rows[limit:] else None
    return Page(tuple(_dead_letter_of(row) for row in shown), more)


def waiting_message_of(row: sqlite3.Row) -> WaitingMessage:
    """Return the waiting message that a row keeps."""
    due_time = time_from_ms(row["due_time"]) if row["due_time"] else None
    return WaitingMessage(row["id"], row["key"], due_time, row["receive_count"], row["reason"])
