"""Repairs and removes what crashes, abandoned uploads and deletions leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from lumitag.adapters.local._database import Database
from lumitag.adapters.local.event_queue import SQLiteEventQueue
from lumitag.adapters.local.label_store import SQLiteLabelStore
from lumitag.adapters.local.object_store import FileObjectStore
from lumitag.errors import ImageNotFound
from lumitag.events import ImageUploaded

_LONGEST_DELAY_S: Final = 600.0  # no image has to wait so long between two attempts


@dataclass(frozen=True)
class Housekeeper:
    """Looks after one data folder. Every step is safe to repeat and to interrupt."""

    database: Database
    object_store: FileObjectStore
    event_queue: SQLiteEventQueue[ImageUploaded]
    label_store: SQLiteLabelStore

    def keep_house(self) -> Mapping[str, int]:
        """Do one round; return how much of each kind was repaired or removed.

        An error ends the round, so what somebody waits for comes first, and files that cannot be removed last.
        """
        unqueued = self._queue_unfinished()
        delayed = self.event_queue.hasten(_LONGEST_DELAY_S)
        tombstones = self.label_store.forget_expired_tombstones()
        self.database.checkpoint()  # What was deleted leaves the write-ahead log, and with it the disk.
        drafts = self.object_store.sweep()
        repairs = self.object_store.reconcile()
        return {
            "unqueued_images": unqueued,
            "delayed_images": delayed,
            "tombstones": tombstones,
            "drafts": drafts,
            "abandoned_uploads": repairs.abandoned_uploads,
            "bytes_of_deleted_images": repairs.deleted_images,
        }

    def _queue_unfinished(self) -> int:
        """Queue every uploaded image that is pending although nothing is queued about it."""
        keys = self.label_store.unfinished(self.event_queue.name)
        for key in keys:
            with suppress(ImageNotFound):  # Deleted a moment ago.
                record = self.label_store.get(key)
                self.event_queue.send(
                    [ImageUploaded(key, record.upload_time or record.created_time, record.request_id)]
                )
        return len(keys)
