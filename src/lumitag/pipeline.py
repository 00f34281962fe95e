"""The story of one image, top to bottom in the order things happen.

accept_upload -> (the object store announces) -> recognize_image -> (the label store announces) -> notify
-> show / search / delete. Data only moves down this list; nothing reaches back.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import chain
from pathlib import PurePath
from typing import Final

from lumitag.domain import (
    Frequency,
    ImageQuery,
    ImageRecord,
    ImageStatus,
    Page,
    Subscription,
    UploadGrant,
    UploadRequest,
    new_key,
    now,
)
from lumitag.errors import (
    ImageNotFound,
    InvalidRequest,
    NotificationFailed,
    NotificationRefused,
    RecognizerUnavailable,
    StoreFull,
    SubscriptionNotFound,
    UnreadableImage,
    UnsupportedImageType,
    UploadTooLarge,
)
from lumitag.events import ImageUploaded, NotificationDue
from lumitag.ports import (
    DeadLetter,
    EventQueue,
    LabelStore,
    Message,
    Notifiers,
    ObjectStore,
    Outboxes,
    Recognizer,
)

CONTENT_TYPES: Final = ("image/jpeg", "image/png", "image/webp", "image/gif")
MAX_FILE_NAME_BYTES: Final = 255

# An image is tried again soon, because somebody is waiting; a subscriber much later, because it may be down for hours.
_LONGEST_RECOGNIZE_DELAY_S: Final = 60.0
_NOT_ITS_FAULT_DELAY_S: Final = 10.0
_NOTIFY_DELAYS_S: Final = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 21600.0)
_DIGEST_SIZE: Final = 200

# The two halves of the list of dead letters; a cursor names the one it belongs to.
_IMAGES: Final = "images"
_NOTIFICATIONS: Final = "notifications"


class Outcome(StrEnum):
    """How one delivery of an event ended, for logs and metrics."""

    RECOGNIZED = "recognized"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    RETRIED = "retried"
    FAILED = "failed"
    DELIVERED = "delivered"


@dataclass(frozen=True)
class Pipeline:
    """The product: the adapters it uses and the steps over them."""

    object_store: ObjectStore
    event_queue: EventQueue[ImageUploaded]
    recognizer: Recognizer
    label_store: LabelStore
    notifiers: Notifiers
    outboxes: Outboxes
    max_image_bytes: int

    def accept_upload(self, request: UploadRequest, base_url: str, request_id: str = "") -> UploadGrant:
        """Return a grant to upload the image that `request` describes.

        The record is made first, because the event can only come later.
        Raises UnsupportedImageType, UploadTooLarge or InvalidRequest; StoreFull when there is no room.
        """
        self._check_upload(request)
        record = ImageRecord(
            key=new_key(),
            file_name=clean_file_name(request.file_name),
            content_type=request.content_type,
            size=request.size,
            sha256=request.sha256,
            created_time=now(),
            request_id=request_id,
        )
        grant = self.object_store.upload_grant(record, base_url)
        self.label_store.create(record)
        return grant

    def recognize_image(self, message: Message[ImageUploaded]) -> Outcome:
        """Recognize an uploaded image and store its labels; the label store tells the subscribers.

        An image that can never be recognized is rejected. Whatever else goes wrong is tried again later,
        and in the end the image is `failed` and its message a dead letter. A full disk and a recognizer that
        is not there are not the fault of the image: they cost it no attempt, however long they last.
        """
        try:
            outcome = self._store_labels(message.event)
        except (StoreFull, RecognizerUnavailable) as error:
            self.event_queue.release(message, error.message, _NOT_ITS_FAULT_DELAY_S, is_counted=False)
            return Outcome.RETRIED
        except Exception as error:  # noqa: BLE001 - whatever it is, the message must come back: the queue counts
            return self._recognize_later(message, error)
        self.event_queue.delete([message])
        return outcome

    def notify(self, subscription_id: str) -> list[tuple[Message[NotificationDue], Outcome]]:
        """Tell one subscriber what waits for it; return what was tried and how it ended.

        The first failure ends the turn: the other messages keep waiting, untried and uncounted.
        """
        outbox = self.outboxes.outbox(subscription_id)
        subscription = self._subscription(subscription_id)
        digest = subscription is not None and subscription.frequency is not Frequency.EACH
        messages = outbox.receive(_DIGEST_SIZE if digest else 1, wait_s=0)
        if not messages:
            return []
        outcome = self._deliver(outbox, subscription, messages)
        return [(message, outcome) for message in messages]

    def show_image(self, key: str) -> ImageRecord:
        """Return the record of one image. Raises ImageNotFound."""
        return self.label_store.get(key)

    def search(self, query: ImageQuery) -> Page[ImageRecord]:
        """Return one page of the images that `query` asks for, newest first."""
        return self.label_store.search(query)

    def search_all(self, query: ImageQuery) -> Iterator[ImageRecord]:
        """Yield every image that `query` asks for, newest first, a page at a time."""
        while True:
            page = self.label_store.search(query)
            yield from page.items
            if page.next_cursor is None:
                return
            query = replace(query, cursor=page.next_cursor)

    def delete_image(self, key: str) -> None:
        """Forget an image: record, labels and bytes. Raises ImageNotFound.

        The record goes first: bytes without a record are cleaned up later, a record without bytes would be a lie.
        """
        self.label_store.delete(key)
        self.object_store.delete(key)

    def relabel(self, query: ImageQuery, every: bool = False) -> int:
        """Queue the images that `query` asks for to be recognized again; return how many.

        Images that the present model has labelled already, and rejected ones, are left out unless `every` is true.
        """
        queued = 0
        for record in self.search_all(query):
            if every or self._is_outdated(record):
                self.event_queue.send([ImageUploaded(record.key, _uploaded(record), record.request_id, relabel=True)])
                queued += 1
        return queued

    def dead_letters(self, limit: int = 50, cursor: str | None = None) -> Page[DeadLetter]:
        """Return the dead letters of images, then those of notifications, each newest first."""
        name, _, rest = (cursor or _IMAGES).partition(":")
        if name == _NOTIFICATIONS:
            return _continued(_NOTIFICATIONS, self.outboxes.dead_letters(limit, rest or None))
        images = self.event_queue.dead_letters(limit, rest or None if name == _IMAGES else cursor)
        room = limit - len(images.items)
        if images.next_cursor is not None or room == 0:
            return _continued(_IMAGES, images) if images.next_cursor else replace(images, next_cursor=_NOTIFICATIONS)
        notifications = self.outboxes.dead_letters(room)
        return _continued(_NOTIFICATIONS, replace(notifications, items=images.items + notifications.items))

    def redrive(self, ids: Iterable[str] | None = None) -> list[str]:
        """Deliver the named dead letters again (all when None); return the keys of their images."""
        wanted = None if ids is None else list(ids)
        return list(chain(self.event_queue.redrive(wanted), self.outboxes.redrive(wanted)))

    def _check_upload(self, request: UploadRequest) -> None:
        if request.content_type not in CONTENT_TYPES:
            raise UnsupportedImageType(
                f"{request.content_type or 'A file without a type'} is not supported. Send JPEG, PNG, WebP or GIF."
            )
        if request.size < 1:
            raise InvalidRequest("The image is empty.")
        if request.size > self.max_image_bytes:
            raise UploadTooLarge(
                f"The image has {request.size:,} bytes, the most this server takes is {self.max_image_bytes:,}."
            )

    def _store_labels(self, event: ImageUploaded) -> Outcome:
        try:
            record = self.label_store.get(event.key)
        except ImageNotFound:
            return Outcome.SKIPPED  # Deleted meanwhile: a late event never brings an image back.
        if self._is_done(record, event):
            return Outcome.SKIPPED
        try:
            recognition = self.recognizer.recognize(event.key)
        except UnreadableImage as error:
            self.label_store.save_failure(event.key, error)
            return Outcome.REJECTED
        self.label_store.save(event.key, recognition)
        return Outcome.RECOGNIZED

    def _is_done(self, record: ImageRecord, event: ImageUploaded) -> bool:
        if event.relabel:
            return False
        return record.status is ImageStatus.REJECTED or (
            record.status is ImageStatus.RECOGNIZED and record.model_version == self.recognizer.model_version
        )

    def _is_outdated(self, record: ImageRecord) -> bool:
        return record.status is not ImageStatus.REJECTED and record.model_version != self.recognizer.model_version

    def _recognize_later(self, message: Message[ImageUploaded], error: Exception) -> Outcome:
        if message.is_last:
            self.label_store.save_failure(message.event.key, error)
        self.event_queue.release(message, str(error), recognize_delay_s(message.receive_count))
        return Outcome.FAILED if message.is_last else Outcome.RETRIED

    def _subscription(self, subscription_id: str) -> Subscription | None:
        try:
            return self.label_store.subscription(subscription_id)
        except SubscriptionNotFound:
            return None

    def _deliver(
        self,
        outbox: EventQueue[NotificationDue],
        subscription: Subscription | None,
        messages: Sequence[Message[NotificationDue]],
    ) -> Outcome:
        if subscription is None:  # Unsubscribed meanwhile.
            outbox.delete(messages)
            return Outcome.SKIPPED
        try:
            self.notifiers[subscription.channel].notify(subscription, [message.event for message in messages])
        except NotificationRefused as error:
            for message in messages:
                outbox.bury(message, error.message)
            return Outcome.FAILED
        except Exception as error:  # noqa: BLE001 - whatever it is, the messages must come back: the queue counts
            for message in messages:
                outbox.release(message, str(error), _notify_again_s(message, error))
            return Outcome.FAILED if messages[0].is_last else Outcome.RETRIED
        outbox.delete(messages)
        return Outcome.DELIVERED


def recognize_delay_s(receive_count: int) -> float:
    """Return how many seconds an image waits after its n-th failed attempt: 1, 2, 4, 8 ... 60."""
    return min(_LONGEST_RECOGNIZE_DELAY_S, 2.0 ** (receive_count - 1))


def notify_delay_s(receive_count: int) -> float:
    """Return how many seconds a notification waits after its n-th failed attempt: 5 s to 6 hours."""
    return _NOTIFY_DELAYS_S[min(receive_count, len(_NOTIFY_DELAYS_S)) - 1]


def _notify_again_s(message: Message[NotificationDue], error: Exception) -> float:
    asked_for = error.retry_after_s if isinstance(error, NotificationFailed) else None
    return max(asked_for or 0.0, notify_delay_s(message.receive_count))


def clean_file_name(name: str) -> str:
    """Return a client's file name as harmless data: no folders, no control characters, at most 255 bytes of UTF-8.

    It is shown and searched, never part of a path. An empty one becomes `image`.
    """
    last = PurePath(name.replace("\\", "/")).name
    text = unicodedata.normalize("NFC", last.encode("utf-8", "replace").decode("utf-8"))
    visible = "".join(character for character in text if unicodedata.category(character)[0] != "C").strip()
    if visible.strip(".") == "":
        return "image"
    return visible.encode()[:MAX_FILE_NAME_BYTES].decode("utf-8", "ignore")


def _uploaded(record: ImageRecord) -> datetime:
    return record.upload_time or record.created_time


def _continued(queue: str, page: Page[DeadLetter]) -> Page[DeadLetter]:
    return page if page.next_cursor is None else replace(page, next_cursor=f"{queue}:{page.next_cursor}")
