"""Rows of the table `images`: how a record is kept, and how its id says when it was uploaded.

The id of an uploaded image is its upload time in milliseconds, shifted left by 20 bits, plus 20 bits of its key.
So "newest first" is the order of ids, a stretch of time is a range of ids, and both cost nothing to find.
The id of an image that was accepted but not uploaded is the same of its creation, negative: outside every range.
"""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import datetime
from typing import Final

from lumitag.adapters.local._properties import pack_properties, unpack_properties
from lumitag.domain import ImageRecord, ImageStatus, Label, Recognition, is_key, time_from_ms, time_to_ms

_TIE_BITS: Final = 20
_LAST_MS: Final = (1 << 43) - 1  # in the year 2248; a later time is kept, but sorts as this one

INSERT: Final = """
    INSERT INTO images (
        id, key, file_name, content_type, size, created_time, sha256, width, height, status, reason,
        recognizer, model_version, upload_time, recognized_time, request_id, packed_properties, packed_labels
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '[]')
"""


def find(connection: sqlite3.Connection, key: str) -> sqlite3.Row | None:
    """Return the row of `key`, or None; what is not even a key has no row."""
    if not is_key(key):
        return None
    row: sqlite3.Row | None = connection.execute("SELECT * FROM images WHERE key = ?", (key,)).fetchone()
    return row


def insert(connection: sqlite3.Connection, record: ImageRecord) -> int:
    """Keep a new record without its labels and return its id."""
    if record.upload_time is None:
        image_id = _free_id(connection, -_place(record.created_time, record.key), step=-1)
    else:
        image_id = _free_id(connection, _place(record.upload_time, record.key), step=1)
    connection.execute(
        INSERT,
        (
            image_id,
            record.key,
            record.file_name,
            record.content_type,
            record.size,
            time_to_ms(record.created_time),
            record.sha256,
            record.width,
            record.height,
            record.status.value,
            record.reason,
            record.recognizer,
            record.model_version,
            _optional_ms(record.upload_time),
            _optional_ms(record.recognized_time),
            record.request_id,
            pack_properties(record.properties, record.labels),
        ),
    )
    return image_id


def mark_uploaded(connection: sqlite3.Connection, row: sqlite3.Row, upload_time: datetime, sha256: str) -> int:
    """Note that the bytes of `row` are stored and return its new id: from now on readers see it."""
    image_id = _free_id(connection, _place(upload_time, row["key"]), step=1)
    connection.execute(
        "UPDATE images SET id = ?, upload_time = ?, sha256 = ? WHERE id = ?",
        (image_id, time_to_ms(upload_time), sha256, row["id"]),
    )
    return image_id


def mark_recognized(
    connection: sqlite3.Connection, image_id: int, recognition: Recognition, recognized_time: datetime
) -> None:
    """Note all of a recognition but its labels."""
    connection.execute(
        """
        UPDATE images
        SET status = ?, reason = NULL, width = ?, height = ?, recognizer = ?, model_version = ?, recognized_time = ?,
            packed_properties = ?
        WHERE id = ?
        """,
        (
            ImageStatus.RECOGNIZED.value,
            recognition.width,
            recognition.height,
            recognition.recognizer,
            recognition.model_version,
            time_to_ms(recognized_time),
            pack_properties(recognition.properties, recognition.labels),
            image_id,
        ),
    )


def record_of(row: sqlite3.Row, labels: tuple[Label, ...], *, with_properties: bool) -> ImageRecord:
    """Return the record that a row keeps, with its labels unpacked, and its image properties if they are wanted."""
    properties, labels = unpack_properties(row["packed_properties"] if with_properties else None, labels)
    return ImageRecord(
        key=row["key"],
        file_name=row["file_name"],
        content_type=row["content_type"],
        size=row["size"],
        created_time=time_from_ms(row["created_time"]),
        sha256=row["sha256"],
        width=row["width"],
        height=row["height"],
        status=ImageStatus(row["status"]),
        reason=row["reason"],
        labels=labels,
        recognizer=row["recognizer"],
        model_version=row["model_version"],
        upload_time=_optional_time(row["upload_time"]),
        recognized_time=_optional_time(row["recognized_time"]),
        request_id=row["request_id"],
        properties=properties,
    )


def first_id_at(moment: datetime) -> int:
    """Return the smallest id of the images uploaded at or after `moment`."""
    milliseconds = time_to_ms(moment) + (moment.microsecond % 1000 > 0)
    return max(1, min(milliseconds, _LAST_MS) << _TIE_BITS)


def abandoned_keys(connection: sqlite3.Connection, created_before: datetime) -> list[str]:
    """Return the keys accepted before `created_before` and never uploaded."""
    first = -(min(max(0, time_to_ms(created_before)), _LAST_MS) << _TIE_BITS)
    return [row["key"] for row in connection.execute("SELECT key FROM images WHERE id > ? AND id < 0", (first,))]


def _place(moment: datetime, key: str) -> int:
    milliseconds = min(max(1, time_to_ms(moment)), _LAST_MS)
    return milliseconds << _TIE_BITS | _tie(key)


def _tie(key: str) -> int:
    """Return 20 bits that depend on the key alone."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) >> (32 - _TIE_BITS)


def _free_id(connection: sqlite3.Connection, wanted: int, step: int) -> int:
    """Return the first id from `wanted` on that no image has: two uploads of one moment rarely want the same."""
    while connection.execute("SELECT 1 FROM images WHERE id = ?", (wanted,)).fetchone():
        wanted += step
    return wanted


def _optional_ms(moment: datetime | None) -> int | None:
    return None if moment is None else time_to_ms(moment)


def _optional_time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else time_from_ms(milliseconds)
