"""Event queues in the local database, so that a result and its acknowledgement can be one commit."""

from __future__ import annotations

import json
import math
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Generic

from lumitag.adapters.local._database import Database
from lumitag.adapters.local._messages import Arrivals, WaitingMessage, dead_letter_page, row_of, waiting_message_of
from lumitag.domain import Json, Page, now, time_to_ms
from lumitag.ports import DeadLetter, E, Message

_POLL_S: Final = 1.0  # how soon a message that another process sent is seen
_WAITING: Final = "queue = :queue AND lease_token IS NULL AND dead_time IS NULL"
_IN_FLIGHT: Final = "queue = :queue AND lease_token IS NOT NULL"
_OWNED: Final = "queue = :queue AND id = :id AND lease_token = :receipt"

OnDead = Callable[[sqlite3.Connection, str, str], None]


class SQLiteEventQueue(Generic[E]):
    """One named queue in the database.

    Args:
        database: where the messages are kept.
        name: of the queue.
        event_from_json: reads one event; a message that it cannot read becomes a dead letter.
        visibility_timeout_s: how long a received message stays hidden.
        max_receive_count: how often a message is delivered before it becomes a dead letter.
        on_dead: called inside the transaction with each message that becomes a dead letter, as
            `on_dead(connection, key, reason)`, so that its image's state changes in the same moment.
        clock: the present moment, for delays.
        monotonic: seconds that no setting of the clock changes, for leases; shared by all processes.

    Messages that never had to wait are delivered first, in the order they were sent; then those whose delay is over.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        event_from_json: Callable[[Json], E],
        *,
        visibility_timeout_s: float,
        max_receive_count: int,
        on_dead: OnDead | None = None,
        clock: Callable[[], datetime] = now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._database = database
        self._event_from_json: Callable[[Json], E] = event_from_json
        self._visibility_timeout_s = visibility_timeout_s
        self._max_receive_count = max_receive_count
        self._on_dead = on_dead
        self._clock = clock
        self._monotonic = monotonic
        self._arrivals = Arrivals()

    def send(self, events: Sequence[E], delay_s: float = 0.0) -> None:
        """Queue the events, durably before returning, to be delivered after `delay_s` seconds."""
        self._database.write(lambda connection: self.enqueue(connection, events, delay_s))

    def enqueue(self, connection: sqlite3.Connection, events: Sequence[E], delay_s: float = 0.0) -> None:
        """Queue the events as part of a change that is under way.

        A notification that waits already is not queued twice: its id is the id of its message.
        """
        connection.executemany(
            """
            INSERT INTO messages (queue, id, key, subscription_id, body, sent_time, due_time)
            VALUES (:queue, :id, :key, :subscription_id, :body, :now, :due)
            ON CONFLICT (queue, id) DO NOTHING
            """,
            [self._facts(due=self._due(delay_s)) | row_of(event) for event in events],
        )
        self._database.on_commit(connection, self._arrivals.announce)

    def receive(self, limit: int, wait_s: float) -> list[Message[E]]:
        """Return up to `limit` messages, waiting at most `wait_s` seconds for the first. May return none."""
        deadline = time.monotonic() + wait_s
        while True:
            seen = self._arrivals.count  # before looking: what arrives while we look is not missed
            until_due_s = self._seconds_until_due()
            if until_due_s <= 0 and (messages := self._claim(limit)):
                return messages
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return []
            self._arrivals.wait(seen, min(remaining_s, max(until_due_s, 0.0), _POLL_S))

    def delete(self, messages: Sequence[Message[E]]) -> None:
        """Finish the messages. One whose lease has passed on stays with its new owner: that is no error."""
        owned = [self._facts(id=message.id, receipt=message.receipt) for message in messages]
        self._database.write(
            lambda connection: connection.executemany(f"DELETE FROM messages WHERE {_OWNED}", owned)  # noqa: S608
        )

    def release(self, message: Message[E], reason: str, delay_s: float, *, is_counted: bool = True) -> None:
        """Give a message back: delivered again after `delay_s`, or a dead letter if `message.is_last`.

        Unless `is_counted` this delivery has not been, and the message is never a dead letter by it.
        One whose lease has passed on stays with its new owner: that is no error.
        """
        if message.is_last and is_counted:
            self.bury(message, reason)
        else:
            self._database.write(lambda connection: self._release(connection, message, reason, delay_s, is_counted))

    def bury(self, message: Message[E], reason: str) -> None:
        """Make a message a dead letter at once. One whose lease has passed on stays with its new owner."""
        self._database.write(
            lambda connection: self._bury(connection, _OWNED, reason, id=message.id, receipt=message.receipt)
        )

    def depth(self) -> int:
        """Return how many messages wait or are in flight, dead letters not counted."""
        return int(
            self._look_up(
                f"""
                SELECT (SELECT count(*) FROM messages WHERE {_WAITING})
                     + (SELECT count(*) FROM messages WHERE {_IN_FLIGHT})
                """  # noqa: S608
            )[0][0]
        )

    def dead_letters(self, limit: int = 50, cursor: str | None = None) -> Page[DeadLetter]:
        """Return the dead letters, newest first. Raises InvalidCursor."""
        with self._database.read() as connection:
            name = f"dead-{self.name}"
            return dead_letter_page(
                connection, "queue = :queue", {"queue": self.name}, name=name, limit=limit, cursor=cursor
            )

    def dead_letter_count(self) -> int:
        """Return how many dead letters there are."""
        query = "SELECT count(*) FROM messages WHERE queue = :queue AND dead_time IS NOT NULL"
        return int(self._look_up(query)[0][0])

    def redrive(self, ids: Iterable[str] | None = None) -> list[str]:
        """Deliver the named dead letters again (all of them when None), with a receive count of zero.

        Return the keys of their images. An id that is not there is no error: redriving twice redrives once.
        """
        wanted = None if ids is None else list(ids)
        return self._database.write(lambda connection: self._redrive(connection, wanted))

    def release_abandoned(self) -> int:
        """Free every message in flight at once and take back that receive; return how many there were.

        For the start of the only server of this data folder: whoever held them is dead, and that a whole
        server died is not the fault of the image.
        """
        return self._database.write(self._release_abandoned)

    def hasten(self, longest_delay_s: float) -> int:
        """Deliver at once what would wait longer than anybody has asked for; return how many messages.

        For a clock that was set back: what is due by the old time would come hours or years late.
        """
        return self._database.write(
            lambda connection: (
                connection.execute(
                    f"UPDATE messages SET due_time = 0 WHERE {_WAITING} AND due_time > :latest",  # noqa: S608
                    self._facts(latest=self._due(longest_delay_s)),
                ).rowcount
            )
        )

    def waiting(self, limit: int = 50) -> list[WaitingMessage]:
        """Return the messages that wait, those delivered next first."""
        rows = self._look_up(
            f"SELECT * FROM messages WHERE {_WAITING} ORDER BY due_time, number LIMIT :limit",  # noqa: S608
            limit=limit,
        )
        return [waiting_message_of(row) for row in rows]

    def oldest_age_s(self) -> float:
        """Return for how many seconds the oldest message that is due has waited; 0 when none is due."""
        rows = self._look_up(
            f"""
            SELECT min(sent_time) AS since FROM (
                SELECT sent_time FROM messages WHERE {_WAITING} AND due_time = 0 ORDER BY number LIMIT 1
            )
            UNION ALL
            SELECT min(due_time) FROM messages WHERE {_WAITING} AND due_time > 0
            """  # noqa: S608 - only constants are inserted
        )
        moment = time_to_ms(self._clock())
        since = [row["since"] for row in rows if row["since"] is not None]
        return max(0, moment - min(since, default=moment)) / 1000

    def _seconds_until_due(self) -> float:
        """Return how long nothing is to be delivered; a read, so that an empty queue costs no write."""
        row = self._look_up(
            f"""
            SELECT (SELECT min(due_time) FROM messages WHERE {_WAITING}) AS due_time,
                   (SELECT min(leased_until) FROM messages WHERE {_IN_FLIGHT}) AS leased_until
            """  # noqa: S608
        )[0]
        due_s = math.inf if row["due_time"] is None else (row["due_time"] - time_to_ms(self._clock())) / 1000
        free_s = math.inf if row["leased_until"] is None else float(row["leased_until"]) - self._monotonic()
        return float(min(due_s, free_s))

    def _claim(self, limit: int) -> list[Message[E]]:
        token = secrets.token_hex(16)
        rows = self._database.write(lambda connection: self._lease(connection, limit, token))
        return [message for row in rows if (message := self._opened(row)) is not None]

    def _lease(self, connection: sqlite3.Connection, limit: int, token: str) -> list[sqlite3.Row]:
        self._take_back_expired(connection)
        rows = connection.execute(
            f"""
            UPDATE messages
            SET lease_token = :token, leased_until = :until, receive_count = receive_count + 1
            WHERE number IN (
                SELECT number FROM messages WHERE {_WAITING} AND due_time <= :now ORDER BY due_time, number LIMIT :limit
            )
            RETURNING *
            """,  # noqa: S608
            self._facts(token=token, until=self._monotonic() + self._visibility_timeout_s, limit=limit),
        ).fetchall()
        return sorted(rows, key=lambda row: (row["due_time"], row["number"]))

    def _take_back_expired(self, connection: sqlite3.Connection) -> None:
        expired = f"{_IN_FLIGHT} AND leased_until <= :monotonic"
        moment = self._monotonic()
        self._bury(
            connection,
            f"{expired} AND receive_count >= :max",
            f"It was received {self._max_receive_count} times and never finished.",
            monotonic=moment,
            max=self._max_receive_count,
        )
        connection.execute(
            f"UPDATE messages SET lease_token = NULL, leased_until = NULL, due_time = 0 WHERE {expired}",  # noqa: S608
            self._facts(monotonic=moment),
        )

    def _opened(self, row: sqlite3.Row) -> Message[E] | None:
        try:
            event = self._event_from_json(json.loads(row["body"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"The message cannot be read: {type(error).__name__}: {error}"
            whose = {"id": row["id"], "receipt": row["lease_token"]}
            self._database.write(lambda connection: self._bury(connection, _OWNED, reason, **whose))
            return None
        is_last = row["receive_count"] >= self._max_receive_count
        return Message(row["id"], event, row["lease_token"], row["receive_count"], is_last)

    def _release(
        self, connection: sqlite3.Connection, message: Message[E], reason: str, delay_s: float, is_counted: bool
    ) -> None:
        owned = self._facts(id=message.id, receipt=message.receipt)
        connection.execute(
            f"""
            UPDATE messages
            SET lease_token = NULL, leased_until = NULL, due_time = :due, reason = :reason,
                receive_count = receive_count - :uncounted
            WHERE {_OWNED}
            """,  # noqa: S608
            {**owned, "reason": reason, "due": self._due(delay_s), "uncounted": 0 if is_counted else 1},
        )
        self._database.on_commit(connection, self._arrivals.announce)

    def _bury(self, connection: sqlite3.Connection, which: str, reason: str, **facts: object) -> None:
        buried = connection.execute(
            f"""
            UPDATE messages SET lease_token = NULL, leased_until = NULL, dead_time = :now, reason = :reason
            WHERE {which} RETURNING key
            """,  # noqa: S608
            self._facts(reason=reason, **facts),
        ).fetchall()
        if self._on_dead is not None:
            for row in buried:
                self._on_dead(connection, row["key"], reason)

    def _redrive(self, connection: sqlite3.Connection, ids: list[str] | None) -> list[str]:
        redrive = """
            UPDATE messages SET dead_time = NULL, receive_count = 0, due_time = 0, sent_time = :now
            WHERE queue = :queue AND dead_time IS NOT NULL
        """
        self._database.on_commit(connection, self._arrivals.announce)
        if ids is None:
            return [row["key"] for row in connection.execute(f"{redrive} RETURNING key", self._facts())]
        return [
            row["key"]
            for message_id in ids
            for row in connection.execute(
                f"{redrive} AND id = :id RETURNING key", self._facts(id=message_id)
            ).fetchall()
        ]

    def _release_abandoned(self, connection: sqlite3.Connection) -> int:
        self._database.on_commit(connection, self._arrivals.announce)
        return connection.execute(
            """
            UPDATE messages
            SET lease_token = NULL, leased_until = NULL, due_time = 0, receive_count = max(0, receive_count - 1)
            WHERE queue = :queue AND lease_token IS NOT NULL
            """,
            self._facts(),
        ).rowcount

    def _look_up(self, query: str, **facts: object) -> list[sqlite3.Row]:
        with self._database.read() as connection:
            return connection.execute(query, self._facts(**facts)).fetchall()

    def _facts(self, **more: object) -> dict[str, Any]:
        return {"queue": self.name, "now": time_to_ms(self._clock()), **more}

    def _due(self, delay_s: float) -> int:
        return 0 if delay_s <= 0 else time_to_ms(self._clock()) + math.ceil(delay_s * 1000)
