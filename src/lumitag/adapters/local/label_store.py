"""The label store in the local database: records, labels, search, subscriptions, and who is to be told."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from lumitag.adapters.local import _records
from lumitag.adapters.local._database import Database
from lumitag.adapters.local._label_index import LabelIndex, count_labels
from lumitag.adapters.local._messages import delete_messages_about
from lumitag.adapters.local._search import find_page
from lumitag.adapters.local._subscriptions import (
    all_subscriptions,
    find_subscription,
    forget_subscription,
    keep_subscription,
)
from lumitag.adapters.local.outboxes import SQLiteOutboxes
from lumitag.domain import (
    Frequency,
    ImageQuery,
    ImageRecord,
    ImageStatus,
    LabelCount,
    Page,
    Recognition,
    Subscription,
    now,
    time_to_ms,
)
from lumitag.errors import ImageNotFound, LumitagError, UnreadableImage
from lumitag.events import ImageDeleted, ImageRecognized, NotificationDue

TOMBSTONE_LIFETIME: Final = timedelta(days=7)
"""How long a deleted key is remembered, so that whatever of it turns up late is recognized and removed."""

OnChange = Callable[[ImageRecord | ImageDeleted], None]


class SQLiteLabelStore:
    """Keeps image records and their labels.

    Args:
        database: where they are kept.
        outboxes: take what is to be told to each subscription; in the same database.
        on_change: called after each commit that changed a record, on the database's thread: it must be quick.
        clock: the present moment.
    """

    def __init__(
        self,
        database: Database,
        outboxes: SQLiteOutboxes,
        *,
        on_change: OnChange | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._database = database
        self._outboxes = outboxes
        self._on_change = on_change
        self._clock = clock
        self._labels = LabelIndex()

    def create(self, record: ImageRecord) -> None:
        """Keep a new pending record, durably before returning. A key that is there, or was deleted, stays as it is."""
        self._database.write(lambda connection: self._create(connection, record))

    def get(self, key: str) -> ImageRecord:
        """Return the record with its labels and image properties. Raises ImageNotFound, also after `delete`."""
        with self._database.read() as connection:
            if (row := _records.find(connection, key)) is None:
                raise ImageNotFound
            return self._record(connection, row, with_properties=True)

    def save(self, key: str, recognition: Recognition) -> ImageRecord | None:
        """Store the labels and announce them, both or neither; return the record as a search shows it.

        Saving the same recognizer's result of the same model version twice announces it once.
        A record that is not there (deleted meanwhile) stays away: None is returned and nothing is announced.
        """
        return self._database.write(lambda connection: self._save(connection, key, recognition))

    def save_failure(self, key: str, error: Exception) -> ImageRecord | None:
        """Mark the image `rejected` (an UnreadableImage) or `failed` (anything else), with the error's message.

        A record that is not there, or is recognized already, is left alone: None is returned.
        """
        status = ImageStatus.REJECTED if isinstance(error, UnreadableImage) else ImageStatus.FAILED
        reason = error.message if isinstance(error, LumitagError) else str(error) or type(error).__name__
        return self._database.write(lambda connection: self._save_failure(connection, key, status, reason))

    def fail_pending(self, connection: sqlite3.Connection, key: str, reason: str) -> None:
        """Mark an image `failed` as part of a change that is under way, if it is still pending.

        For the queue's `on_dead`: an image whose message died is no longer pending, in the same moment.
        """
        row = _records.find(connection, key)
        if row is not None and row["status"] == ImageStatus.PENDING:
            self._save_failure(connection, key, ImageStatus.FAILED, reason)

    def delete(self, key: str) -> None:
        """Forget the record, its labels and what waits to be told about it. Raises ImageNotFound.

        From then on the image does not come back, whatever events still arrive.
        """
        self._database.write(lambda connection: self._delete(connection, key))

    def search(self, query: ImageQuery) -> Page[ImageRecord]:
        """Return one page of acknowledged images, newest first, with all their stored labels.

        Image properties and the colours of instances are left out unless the query asks for them.
        Images that were accepted but never uploaded are not shown. Raises InvalidCursor.
        """
        with self._database.read() as connection:
            rows, next_cursor = find_page(connection, query)
            wanted = query.with_properties
            return Page(tuple(self._record(connection, row, with_properties=wanted) for row in rows), next_cursor)

    def label_counts(self, prefix: str = "", limit: int = 50) -> list[LabelCount]:
        """Return the most frequent labels whose name starts with `prefix`, most frequent first."""
        with self._database.read() as connection:
            return count_labels(connection, prefix, limit)

    def subscribe(self, subscription: Subscription) -> None:
        """Keep a subscription, durably before returning."""
        self._database.write(lambda connection: keep_subscription(connection, subscription))

    def unsubscribe(self, subscription_id: str) -> None:
        """Forget a subscription and what waits to be told to it. Raises SubscriptionNotFound."""
        self._database.write(lambda connection: forget_subscription(connection, subscription_id))

    def subscription(self, subscription_id: str) -> Subscription:
        """Return one subscription, its secret included. Raises SubscriptionNotFound."""
        with self._database.read() as connection:
            return find_subscription(connection, subscription_id)

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions, oldest first."""
        with self._database.read() as connection:
            return all_subscriptions(connection)

    def unfinished(self, queue: str, limit: int = 1000) -> list[str]:
        """Return keys of uploaded images that are pending although no message of `queue` is about them."""
        return self._keys(
            """
            SELECT key FROM images
            WHERE status = 'pending' AND id > 0
              AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.key = images.key AND queue = ?)
            ORDER BY id LIMIT ?
            """,
            queue,
            limit,
        )

    def stored_keys(self, after_key: str = "", limit: int = 1000) -> list[str]:
        """Return the next keys of uploaded images after `after_key`, in alphabetical order."""
        return self._keys("SELECT key FROM images WHERE key > ? AND id > 0 ORDER BY key LIMIT ?", after_key, limit)

    def counts_by_status(self) -> dict[ImageStatus, int]:
        """Return how many uploaded images are in each state."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT status, images FROM status_counts").fetchall()
        return {ImageStatus(row["status"]): row["images"] for row in rows}

    def forget_expired_tombstones(self) -> int:
        """Forget which keys were deleted long ago; return how many."""
        expired = time_to_ms(self._clock() - TOMBSTONE_LIFETIME)
        return self._database.write(
            lambda connection: connection.execute("DELETE FROM tombstones WHERE deleted_time < ?", (expired,)).rowcount
        )

    def _create(self, connection: sqlite3.Connection, record: ImageRecord) -> None:
        if _records.find(connection, record.key) is not None or _is_deleted(connection, record.key):
            return
        image_id = _records.insert(connection, record)
        if record.labels:
            self._labels.replace(connection, image_id, record.labels)

    def _save(self, connection: sqlite3.Connection, key: str, recognition: Recognition) -> ImageRecord | None:
        if (row := _records.find(connection, key)) is None:
            return None
        self._labels.replace(connection, row["id"], recognition.labels)
        _records.mark_recognized(connection, row["id"], recognition, self._clock())
        record = self._changed(connection, key)
        if not _is_known(row, recognition):
            self._announce(connection, ImageRecognized.of(record))
        return record

    def _save_failure(
        self, connection: sqlite3.Connection, key: str, status: ImageStatus, reason: str
    ) -> ImageRecord | None:
        row = _records.find(connection, key)
        if row is None or row["status"] == ImageStatus.RECOGNIZED:
            return None
        connection.execute("UPDATE images SET status = ?, reason = ? WHERE id = ?", (status.value, reason, row["id"]))
        return self._changed(connection, key)

    def _delete(self, connection: sqlite3.Connection, key: str) -> None:
        if (row := _records.find(connection, key)) is None:
            raise ImageNotFound
        self._labels.replace(connection, row["id"], ())
        delete_messages_about(connection, key)
        connection.execute("DELETE FROM images WHERE id = ?", (row["id"],))
        connection.execute("INSERT INTO tombstones VALUES (?, ?)", (key, time_to_ms(self._clock())))
        self._tell_change(connection, ImageDeleted(key, row["request_id"]))

    def _announce(self, connection: sqlite3.Connection, image: ImageRecognized) -> None:
        """Put what each subscriber is to be told into its outbox, in the transaction that stores the labels."""
        for subscription in all_subscriptions(connection):
            if subscription.wants(image.labels):
                due = NotificationDue.of(subscription, image)
                delay_s = self._digest_delay_s(subscription.frequency)
                self._outboxes.outbox(subscription.id).enqueue(connection, [due], delay_s)

    def _digest_delay_s(self, frequency: Frequency) -> float:
        """Return the seconds until the next full hour or day (UTC); 0 for a notification about each image."""
        moment = self._clock()
        hour = moment.replace(minute=0, second=0, microsecond=0)
        match frequency:
            case Frequency.EACH:
                return 0.0
            case Frequency.HOURLY:
                return (hour + timedelta(hours=1) - moment).total_seconds()
            case Frequency.DAILY:
                return (hour.replace(hour=0) + timedelta(days=1) - moment).total_seconds()

    def _changed(self, connection: sqlite3.Connection, key: str) -> ImageRecord:
        row = _records.find(connection, key)
        assert row is not None
        record = self._record(connection, row, is_committed=False)
        self._tell_change(connection, record)
        return record

    def _tell_change(self, connection: sqlite3.Connection, change: ImageRecord | ImageDeleted) -> None:
        if (on_change := self._on_change) is not None:
            self._database.on_commit(connection, lambda: on_change(change))

    def _record(
        self,
        connection: sqlite3.Connection,
        row: sqlite3.Row,
        *,
        is_committed: bool = True,
        with_properties: bool = False,
    ) -> ImageRecord:
        labels = self._labels.read(connection, row["packed_labels"], is_committed=is_committed)
        return _records.record_of(row, labels, with_properties=with_properties)

    def _keys(self, query: str, *parameters: str | int) -> list[str]:
        with self._database.read() as connection:
            return [row["key"] for row in connection.execute(query, parameters)]


def _is_known(row: sqlite3.Row, recognition: Recognition) -> bool:
    """Return whether the same model's result was saved, and announced, before."""
    return bool(
        row["status"] == ImageStatus.RECOGNIZED
        and row["recognizer"] == recognition.recognizer
        and row["model_version"] == recognition.model_version
    )


def _is_deleted(connection: sqlite3.Connection, key: str) -> bool:
    return connection.execute("SELECT 1 FROM tombstones WHERE key = ?", (key,)).fetchone() is not None
