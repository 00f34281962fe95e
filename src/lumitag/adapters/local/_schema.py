"""The tables of the local database and how an older database becomes a newer one.

Times are milliseconds since 1970 in UTC; lists are compact JSON.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from lumitag.adapters.local._files import create_private_file
from lumitag.errors import StoreDamaged, StoreError

APPLICATION_ID: Final = 0x4C756D69  # "Lumi", in the header of the database file

_FIRST: Final = (
    "CREATE TABLE store (id TEXT NOT NULL)",
    # Until an image is uploaded its id is negative; then the id is its place in time (see _records.py),
    # so that one range of ids is both "shown to readers" and "uploaded between two moments".
    """
    CREATE TABLE images (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        file_name TEXT NOT NULL,
        content_type TEXT NOT NULL,
        size INTEGER NOT NULL,
        created_time INTEGER NOT NULL,
        sha256 TEXT,
        width INTEGER,
        height INTEGER,
        status TEXT NOT NULL,
        reason TEXT,
        recognizer TEXT,
        model_version TEXT,
        upload_time INTEGER,
        recognized_time INTEGER,
        request_id TEXT NOT NULL,
        packed_labels TEXT NOT NULL
    )
    """,
    "CREATE INDEX images_by_status ON images (status, id)",
    # How many uploaded images are in each state, kept by triggers: counting a million rows takes too long for a gauge.
    "CREATE TABLE status_counts (status TEXT NOT NULL PRIMARY KEY, images INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO status_counts VALUES ('pending', 0), ('recognized', 0), ('rejected', 0), ('failed', 0)",
    """
    CREATE TRIGGER count_new_image AFTER INSERT ON images BEGIN
        UPDATE status_counts SET images = images + 1 WHERE status = NEW.status AND NEW.id > 0;
    END
    """,
    """
    CREATE TRIGGER count_changed_image AFTER UPDATE OF id, status ON images BEGIN
        UPDATE status_counts SET images = images - 1 WHERE status = OLD.status AND OLD.id > 0;
        UPDATE status_counts SET images = images + 1 WHERE status = NEW.status AND NEW.id > 0;
    END
    """,
    """
    CREATE TRIGGER count_deleted_image AFTER DELETE ON images BEGIN
        UPDATE status_counts SET images = images - 1 WHERE status = OLD.status AND OLD.id > 0;
    END
    """,
    # The dictionary: one row for each label as it was when it was stored, without confidence and instances.
    # AUTOINCREMENT: an id is never given twice, so that whoever remembers an old one cannot mistake it.
    """
    CREATE TABLE labels (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        content TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        folded_name TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE label_names (
        folded_name TEXT NOT NULL,
        label_id INTEGER NOT NULL REFERENCES labels (id),
        PRIMARY KEY (folded_name, label_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX label_names_by_label ON label_names (label_id)",
    """
    CREATE TABLE label_counts (
        folded_name TEXT NOT NULL,
        name TEXT NOT NULL,
        images INTEGER NOT NULL,
        PRIMARY KEY (folded_name, name)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE image_labels (
        label_id INTEGER NOT NULL REFERENCES labels (id),
        image_id INTEGER NOT NULL,
        confidence REAL NOT NULL,
        PRIMARY KEY (label_id, image_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE subscriptions (
        id TEXT NOT NULL PRIMARY KEY,
        channel TEXT NOT NULL,
        address TEXT NOT NULL,
        created_time INTEGER NOT NULL,
        labels TEXT NOT NULL,
        min_confidence REAL NOT NULL,
        frequency TEXT NOT NULL,
        secret TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE TABLE tombstones (key TEXT NOT NULL PRIMARY KEY, deleted_time INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX tombstones_by_time ON tombstones (deleted_time)",
    # A message waits (no lease, not dead), is in flight (lease_token, leased_until) or is a dead letter (dead_time).
    # due_time is 0 for "at once": a clock that is set back must not delay what never had to wait.
    # leased_until is in seconds of the monotonic clock, which no setting of the clock changes.
    """
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        id TEXT NOT NULL,
        key TEXT NOT NULL,
        subscription_id TEXT,
        body TEXT NOT NULL,
        sent_time INTEGER NOT NULL,
        due_time INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        lease_token TEXT,
        leased_until REAL,
        dead_time INTEGER,
        reason TEXT,
        UNIQUE (queue, id)
    )
    """,
    """
    CREATE INDEX messages_waiting ON messages (queue, due_time, number)
    WHERE lease_token IS NULL AND dead_time IS NULL
    """,
    "CREATE INDEX messages_in_flight ON messages (queue, leased_until) WHERE lease_token IS NOT NULL",
    "CREATE INDEX messages_dead ON messages (queue, dead_time, number) WHERE dead_time IS NOT NULL",
    "CREATE INDEX messages_by_key ON messages (key)",
    "CREATE INDEX messages_by_subscription ON messages (subscription_id) WHERE subscription_id IS NOT NULL",
)

# Image properties and the colours of instances, packed (see _properties.py); NULL for images recognized without them.
_SECOND: Final = ("ALTER TABLE images ADD COLUMN packed_properties TEXT",)

MIGRATIONS: Final[tuple[Sequence[str], ...]] = (_FIRST, _SECOND)
"""Statements that lead from each schema version to the next. Released ones are never changed, only followed."""


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring the database to the newest schema in one transaction, keeping a copy of what was there before.

    Raises StoreDamaged if the file is not a Lumitag database, StoreError if a newer Lumitag wrote it.
    """
    if _version(connection) == len(migrations) and _is_ours(connection):
        return
    connection.execute("BEGIN IMMEDIATE")  # from here on no other process migrates
    try:
        _migrate_locked(connection, path, migrations)
    except BaseException:
        connection.rollback()
        raise
    connection.execute("COMMIT")


def _migrate_locked(connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]]) -> None:
    version = _version(connection)
    _refuse_foreign(connection, path)
    if version > len(migrations):
        raise StoreError(
            f"A newer Lumitag wrote this data folder (schema {version}; this one knows {len(migrations)}). "
            "Install the newer version again, or choose another folder with --data."
        )
    if version > 0:
        _keep_copy(path, version)
    for statement in (statement for migration in migrations[version:] for statement in migration):
        connection.execute(statement)
    if version == 0:
        connection.execute("INSERT INTO store (id) VALUES (?)", (secrets.token_hex(16),))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    is_empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if not (is_empty or _is_ours(connection)):
        raise StoreDamaged(f"{path} is a database of another program. Choose another folder with --data.")


def _is_ours(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _keep_copy(path: Path, version: int) -> None:
    """Keep the database as it was, so that a failed update can be undone by hand."""
    copy = path.with_name(f"{path.name}.schema-{version}")
    copy.unlink(missing_ok=True)
    os.close(create_private_file(copy))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
