"""What waits to be told: one queue a subscription, in the local database."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from lumitag.adapters.local._database import Database
from lumitag.adapters.local._messages import LARGEST_PAGE, dead_letter_page
from lumitag.adapters.local.event_queue import SQLiteEventQueue
from lumitag.domain import Channel, Json, Page, now, time_from_ms, time_to_json, time_to_ms
from lumitag.events import NotificationDue
from lumitag.ports import DeadLetter

_PREFIX: Final = "outbox/"
_NO_MAIL_SERVER: Final = "No mail server is set. Set LUMITAG_SMTP_HOST and start again."

# One bound on each side of the prefix, so that SQLite uses the index on queue names.
_OUTBOXES: Final = "queue >= 'outbox/' AND queue < 'outbox0'"


class SQLiteOutboxes:
    """The outboxes of all subscriptions.

    Args:
        database: where the messages are kept.
        channels: those that can be delivered now; what is due on others waits, for example without a mail server.
        visibility_timeout_s: how long a delivery may take before the notification is tried again.
        max_receive_count: how often a notification is tried.
        clock: the present moment, for delays.
        monotonic: seconds that no setting of the clock changes, for leases.
    """

    def __init__(
        self,
        database: Database,
        channels: Collection[Channel],
        *,
        visibility_timeout_s: float,
        max_receive_count: int,
        clock: Callable[[], datetime] = now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._channels = tuple(channel.value for channel in channels)
        self._visibility_timeout_s = visibility_timeout_s
        self._max_receive_count = max_receive_count
        self._clock = clock
        self._monotonic = monotonic

    def outbox(self, subscription_id: str) -> SQLiteEventQueue[NotificationDue]:
        """Return the queue of one subscription."""
        return SQLiteEventQueue(
            self._database,
            _PREFIX + subscription_id,
            NotificationDue.from_json,
            visibility_timeout_s=self._visibility_timeout_s,
            max_receive_count=self._max_receive_count,
            clock=self._clock,
            monotonic=self._monotonic,
        )

    def due(self) -> list[str]:
        """Return the ids of the subscriptions that have something to be delivered now."""
        places = ", ".join("?" * len(self._channels))
        with self._database.read() as connection:
            rows = connection.execute(
                f"""
                SELECT id FROM subscriptions
                WHERE channel IN ({places}) AND EXISTS (
                    SELECT 1 FROM messages
                    WHERE queue = 'outbox/' || subscriptions.id
                      AND lease_token IS NULL AND dead_time IS NULL AND due_time <= ?
                ) OR channel IN ({places}) AND EXISTS (
                    SELECT 1 FROM messages
                    WHERE queue = 'outbox/' || subscriptions.id AND lease_token IS NOT NULL AND leased_until <= ?
                )
                """,  # noqa: S608 - only question marks are inserted
                (*self._channels, time_to_ms(self._clock()), *self._channels, self._monotonic()),
            ).fetchall()
        return [row["id"] for row in rows]

    def depth(self) -> int:
        """Return how many notifications wait or are being delivered."""
        with self._database.read() as connection:
            query = f"SELECT count(*) FROM messages WHERE {_OUTBOXES} AND dead_time IS NULL"  # noqa: S608
            return int(connection.execute(query).fetchone()[0])

    def dead_letter_count(self) -> int:
        """Return how many dead letters there are."""
        with self._database.read() as connection:
            query = f"SELECT count(*) FROM messages WHERE {_OUTBOXES} AND dead_time IS NOT NULL"  # noqa: S608
            return int(connection.execute(query).fetchone()[0])

    def release_abandoned(self) -> int:
        """Free every notification that a dead server was delivering; return how many there were."""
        with self._database.read() as connection:
            query = f"SELECT DISTINCT queue FROM messages WHERE {_OUTBOXES} AND lease_token IS NOT NULL"  # noqa: S608
            names = [row["queue"] for row in connection.execute(query)]
        return sum(self.outbox(name.removeprefix(_PREFIX)).release_abandoned() for name in names)

    def waiting(self, limit: int) -> list[Json]:
        """Return what waits to be told, next due first."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"""
                SELECT id, key, subscription_id, json_extract(body, '$.image.fileName') AS file_name,
                       due_time, sent_time, receive_count, reason,
                       (SELECT channel FROM subscriptions WHERE subscriptions.id = subscription_id) AS channel
                FROM messages WHERE {_OUTBOXES} AND dead_time IS NULL
                ORDER BY due_time, number LIMIT ?
                """,  # noqa: S608
                (max(1, min(limit, LARGEST_PAGE)),),
            ).fetchall()
        return [self._waiting_json(row) for row in rows]

    def dead_letters(self, limit: int = 50, cursor: str | None = None) -> Page[DeadLetter]:
        """Return the dead letters of all subscriptions, newest first. Raises InvalidCursor."""
        with self._database.read() as connection:
            page = dead_letter_page(connection, _OUTBOXES, {}, name="dead-outbox", limit=limit, cursor=cursor)
        return replace(page, items=tuple(replace(letter, queue="notifications") for letter in page.items))

    def redrive(self, ids: Iterable[str] | None = None) -> list[str]:
        """Deliver the named dead letters again (all when None); return the keys of their images."""
        wanted = None if ids is None else list(ids)
        return [key for name in self._dead_queues(wanted) for key in self.outbox(name).redrive(wanted)]

    def _waiting_json(self, row: sqlite3.Row) -> Json:
        due = time_from_ms(row["due_time"] or row["sent_time"])
        has_no_server = row["channel"] == Channel.MAIL and Channel.MAIL not in self._channels
        is_stuck = has_no_server and due <= self._clock()
        return {
            "id": row["id"],
            "subscriptionId": row["subscription_id"],
            "key": row["key"],
            "fileName": row["file_name"],
            "dueTime": time_to_json(due),
            "attempts": row["receive_count"],
            "reason": row["reason"] or (_NO_MAIL_SERVER if is_stuck else None),
        }

    def _dead_queues(self, ids: list[str] | None) -> list[str]:
        with self._database.read() as connection:
            query = f"SELECT DISTINCT subscription_id FROM messages WHERE {_OUTBOXES} AND dead_time IS NOT NULL"  # noqa: S608
            if ids is None:
                return [row[0] for row in connection.execute(query)]
            found = [connection.execute(f"{query} AND id = ?", (one,)).fetchall() for one in ids]
        return sorted({row[0] for rows in found for row in rows})
