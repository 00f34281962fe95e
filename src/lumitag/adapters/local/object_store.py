"""The object store in a folder: one file an image, published only when it is whole, verified and durable."""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from lumitag.adapters.local import _records
from lumitag.adapters.local._database import Database
from lumitag.adapters.local._label_index import move_labels
from lumitag.adapters.local._object_files import ObjectFiles
from lumitag.adapters.local._signing import SignedRequest, UploadGrants
from lumitag.adapters.local._uploads import IncomingUpload
from lumitag.domain import ImageRecord, UploadGrant, is_key, now, time_from_ms
from lumitag.errors import (
    AlreadyUploaded,
    ImageNotFound,
    StoreFull,
    UploadForbidden,
    UploadMismatch,
    UploadTooLarge,
)
from lumitag.events import ImageUploaded

_CHUNK_BYTES: Final = 256 * 1024
_LOCKS: Final = 256
_DRAFT_LIFETIME: Final = timedelta(hours=1)
_UPLOAD_DURATION: Final = timedelta(minutes=10)  # an upload that began in time may last a little longer

Announce = Callable[[sqlite3.Connection, ImageUploaded], None]


@dataclass(frozen=True, slots=True)
class Repairs:
    """What `FileObjectStore.reconcile` removed: uploads that were never finished, and bytes of deleted images."""

    abandoned_uploads: int
    deleted_images: int


class FileObjectStore:
    """Keeps images as files under `root`. One process at a time may put objects there.

    Args:
        root: the data folder.
        database: where their records are.
        announce: called inside the transaction that acknowledges an upload.
        signing_key: at least 32 random bytes, for upload URLs.
        max_bytes: the largest image.
        min_free_bytes: uploads are refused when the disk would have less room after them.
        upload_lifetime_s: how long an upload URL is valid.
        clock: the present moment.
    """

    def __init__(
        self,
        root: Path,
        database: Database,
        announce: Announce,
        *,
        signing_key: bytes,
        max_bytes: int,
        min_free_bytes: int,
        upload_lifetime_s: float,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._files = ObjectFiles(root)
        self._database = database
        self._announce = announce
        self._grants = UploadGrants(signing_key, timedelta(seconds=upload_lifetime_s), clock)
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._upload_lifetime = timedelta(seconds=upload_lifetime_s)
        self._clock = clock
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    @property
    def is_healthy(self) -> bool:
        """Whether uploads can succeed. Once a flush has failed it stays False until a restart."""
        return self._files.is_healthy

    def upload_grant(self, record: ImageRecord, base_url: str) -> UploadGrant:
        """Return a permission to upload exactly this image, once, within the store's grant lifetime.

        It is bound to method, key, size, type, sha256 (when known), the host of `base_url` and expiry.
        """
        return self._grants.grant(record, base_url)

    def check_grant(
        self,
        *,
        method: str,
        key: str,
        host: str,
        content_type: str | None,
        content_length: int | None,
        expires: str | None,
        signature: str | None,
    ) -> None:
        """Raise unless the request is the one that an upload URL was made for, before any byte of it is read.

        `host` is as the client wrote it, `expires` and `signature` as they stand in the query; None is for missing.
        Raises UploadForbidden, UploadExpired, UploadMismatch, ImageNotFound.
        """
        row = self._row(key)
        self._grants.check(SignedRequest(method, key, host, expires, signature), row)
        if (content_type or "").strip().lower() != row["content_type"].lower():
            raise UploadForbidden(f"This upload URL is for {row['content_type']}. Send that as the Content-Type.")
        if content_length != row["size"]:
            raise UploadMismatch(f"{row['size']} bytes were announced. Send exactly those, with their Content-Length.")

    def receive(self, key: str) -> IncomingUpload:
        """Return an upload that takes the bytes of an accepted image as they arrive.

        Raises ImageNotFound, UploadTooLarge, StoreFull, StoreUnavailable.
        """
        row = self._row(key)
        self._require_room(row["size"])
        return IncomingUpload(
            self._files.new_draft(key),
            row["size"],
            None if row["upload_time"] else row["sha256"],
            flush=self._files.flush,
            publish=partial(self._publish, key),
        )

    def put(self, record: ImageRecord, content: BinaryIO) -> ImageUploaded:
        """Store `content` under `record.key` and announce it, both or neither, durably before returning.

        The bytes are kept only if they have the announced size and, when given, sha256; else UploadMismatch.
        Storing the same bytes again changes nothing and announces nothing; other bytes raise AlreadyUploaded.
        A record that was never created or has been deleted raises ImageNotFound.
        """
        with self.receive(record.key) as upload:
            while chunk := content.read(_CHUNK_BYTES):
                upload.write(chunk)
            return upload.commit()

    def open(self, key: str) -> BinaryIO:
        """Return the whole content, open for reading at its start. Raises ImageNotFound."""
        if not is_key(key):
            raise ImageNotFound
        return self._files.open(key)

    def delete(self, key: str) -> None:
        """Forget the bytes and the thumbnail. A key that is not there is no error."""
        if is_key(key):
            with self._lock(key):
                self._files.remove(key)

    def keys(self) -> Iterator[str]:
        """Yield the key of every object that is there, in no order."""
        return self._files.keys()

    def free_bytes(self) -> int:
        """Return how many bytes the disk of the data folder has left for us."""
        return self._files.free_bytes()

    def read_thumbnail(self, key: str) -> bytes | None:
        """Return the kept thumbnail, or None if there is none yet. Raises ImageNotFound if `key` is none."""
        if not is_key(key):
            raise ImageNotFound
        return self._files.read_thumbnail(key)

    def write_thumbnail(self, key: str, content: bytes) -> None:
        """Keep a thumbnail, unless the image has been deleted meanwhile."""
        with self._lock(key):
            if self._files.has_object(key):
                self._files.write_thumbnail(key, content)

    def sweep(self) -> int:
        """Remove what is left of uploads that broke off more than an hour ago; return how many there were."""
        return self._files.remove_drafts(older_than=self._clock() - _DRAFT_LIFETIME)

    def reconcile(self) -> Repairs:
        """Remove what nobody can ask for: uploads never finished in their time, and bytes of deleted images.

        An image that was acknowledged has its record, so that nothing acknowledged is ever removed here.
        """
        abandoned = self._abandoned_keys()
        for key in abandoned:
            self._abandon(key)
        return Repairs(len(abandoned), self._remove_bytes_of_deleted())

    def _publish(self, key: str, draft: Path, sha256: str) -> ImageUploaded:
        # The lock makes "is it there?", the rename and the commit one step among the uploads of this key.
        with self._lock(key):
            with self._database.read() as connection:
                known = _find_upload(connection, key, sha256)
            if known is not None:
                return known
            self._files.move_in(draft, key)
            try:
                return self._database.write(lambda connection: self._acknowledge(connection, key, sha256))
            except ImageNotFound:  # deleted a moment ago
                self._files.remove(key)
                raise

    def _acknowledge(self, connection: sqlite3.Connection, key: str, sha256: str) -> ImageUploaded:
        """Make the upload known: the record, its place in time and the announcement, in one transaction."""
        known = _find_upload(connection, key, sha256)
        if known is not None:
            return known
        row = _found(connection, key)
        event = ImageUploaded(key, self._clock(), row["request_id"])
        image_id = _records.mark_uploaded(connection, row, event.upload_time, sha256)
        move_labels(connection, row["id"], image_id)
        self._announce(connection, event)
        return event

    def _require_room(self, size: int) -> None:
        self._files.require_health()
        if size > self._max_bytes:
            raise UploadTooLarge(f"The image has {size} bytes; this server takes at most {self._max_bytes}.")
        free = self.free_bytes()
        if free - size < self._min_free_bytes:
            raise StoreFull(
                f"The disk has {free} bytes left, and {self._min_free_bytes} are kept free. "
                "Free some space; uploads are refused until then."
            )

    def _abandoned_keys(self) -> list[str]:
        before = self._clock() - self._upload_lifetime - _UPLOAD_DURATION
        with self._database.read() as connection:
            return _records.abandoned_keys(connection, before)

    def _abandon(self, key: str) -> None:
        with self._lock(key):
            with self._database.read() as connection:
                row = _records.find(connection, key)
            if row is not None and row["upload_time"] is None:
                self._files.remove(key)  # the file first, so that none is left without a record
                self._database.write(
                    lambda connection: connection.execute("DELETE FROM images WHERE key = ? AND id < 0", (key,))
                )

    def _remove_bytes_of_deleted(self) -> int:
        with self._database.read() as connection:
            keys = [row["key"] for row in connection.execute("SELECT key FROM tombstones")]
        left = [key for key in keys if self._files.has_anything_of(key)]
        for key in left:
            self.delete(key)
        return len(left)

    def _row(self, key: str) -> sqlite3.Row:
        with self._database.read() as connection:
            return _found(connection, key)

    def _lock(self, key: str) -> threading.Lock:
        return self._locks[zlib.crc32(key.encode()) % _LOCKS]


def _found(connection: sqlite3.Connection, key: str) -> sqlite3.Row:
    row = _records.find(connection, key)
    if row is None:
        raise ImageNotFound
    return row


def _find_upload(connection: sqlite3.Connection, key: str, sha256: str) -> ImageUploaded | None:
    """Return what was announced about these bytes, None if nothing is there. Raises AlreadyUploaded, ImageNotFound."""
    row = _found(connection, key)
    if row["upload_time"] is None:
        return None
    if row["sha256"] != sha256:
        raise AlreadyUploaded
    return ImageUploaded(key, time_from_ms(row["upload_time"]), row["request_id"])
