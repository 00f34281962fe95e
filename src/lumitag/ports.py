"""The five things that the pipeline needs from the outside, as Protocols. The docstrings are the contract.

Adapters do not inherit: they satisfy a Protocol, and the type checker compares them with it
where a platform fills the fields of `Pipeline`. Every adapter and every fake passes `tests/contracts`.
Every method may also raise StoreUnavailable or StoreFull when what is behind it does not answer or is full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Generic, Protocol, TypeVar

from lumitag.domain import (
    Channel,
    ImageQuery,
    ImageRecord,
    Json,
    LabelCount,
    Page,
    Recognition,
    Subscription,
    UploadGrant,
    time_to_json,
)
from lumitag.events import ImageUploaded, NotificationDue

E = TypeVar("E", ImageUploaded, NotificationDue)


class ObjectStore(Protocol):
    """Keeps the bytes of images under their keys and announces each new one as `ImageUploaded`."""

    def upload_grant(self, record: ImageRecord, base_url: str) -> UploadGrant:
        """Return a permission to upload exactly this image, once, within the store's grant lifetime.

        It is bound to method, key, size, type, sha256 (when known), host and expiry.
        `base_url` is how the client reaches this server; a store with an address of its own ignores it.
        """
        ...

    def put(self, record: ImageRecord, content: BinaryIO) -> ImageUploaded:
        """Store `content` under `record.key` and announce it, both or neither, durably before returning.

        The bytes are kept only if they have the announced size and, when given, sha256; else UploadMismatch.
        Storing the same bytes again changes nothing and announces nothing; other bytes raise AlreadyUploaded.
        A record that was never created or has been deleted raises ImageNotFound.
        """
        ...

    def open(self, key: str) -> BinaryIO:
        """Return the whole content, open for reading at its start. Raises ImageNotFound."""
        ...

    def delete(self, key: str) -> None:
        """Forget the bytes. A key that is not there is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Message(Generic[E]):
    """One delivery of an event.

    Attributes:
        id: of the message; the same at every delivery.
        event: what happened.
        receipt: of this delivery; needed to delete or release it, worthless once the lease has passed on.
        receive_count: how often it was delivered, this time included: 1 the first time.
        is_last: nobody will deliver it again: if this delivery fails, it becomes a dead letter.
    """

    id: str
    event: E
    receipt: str
    receive_count: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that failed as often as the queue allows. `reason` is for people."""

    id: str
    queue: str
    key: str
    reason: str
    receive_count: int
    dead_time: datetime

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {
            "id": self.id,
            "queue": self.queue,
            "key": self.key,
            "reason": self.reason,
            "receiveCount": self.receive_count,
            "deadTime": time_to_json(self.dead_time),
        }


class EventQueue(Protocol[E]):
    """Delivers each event at least once; a received message is hidden for the visibility timeout.

    No order is promised. A message that was not deleted comes back; after the greatest receive count
    it becomes a dead letter, which stays until it is redriven.
    """

    def send(self, events: Sequence[E], delay_s: float = 0.0) -> None:
        """Queue the events, durably before returning, to be delivered after `delay_s` seconds."""
        ...

    def receive(self, limit: int, wait_s: float) -> list[Message[E]]:
        """Return up to `limit` messages, waiting at most `wait_s` seconds for the first. May return none."""
        ...

    def delete(self, messages: Sequence[Message[E]]) -> None:
        """Finish the messages. One whose lease has passed on stays with its new owner: that is no error."""
        ...

    def release(self, message: Message[E], reason: str, delay_s: float, *, is_counted: bool = True) -> None:
        """Give a message back: delivered again after `delay_s`, or a dead letter if `message.is_last`.

        Unless `is_counted` this delivery has not been, and the message is never a dead letter by it: what failed
        was not its fault. A queue that cannot take back a count may leave it.
        One whose lease has passed on stays with its new owner: that is no error.
        """
        ...

    def bury(self, message: Message[E], reason: str) -> None:
        """Make a message a dead letter at once. One whose lease has passed on stays with its new owner."""
        ...

    def depth(self) -> int:
        """Return how many messages wait or are in flight, dead letters not counted."""
        ...

    def dead_letters(self, limit: int = 50, cursor: str | None = None) -> Page[DeadLetter]:
        """Return the dead letters, newest first. Raises InvalidCursor."""
        ...

    def redrive(self, ids: Iterable[str] | None = None) -> list[str]:
        """Deliver the named dead letters again (all of them when None), with a receive count of zero.

        Return the keys of their images. An id that is not there is no error: redriving twice redrives once.
        """
        ...


class Recognizer(Protocol):
    """Finds labels in images."""

    @property
    def model_version(self) -> str:
        """Changes whenever the same bytes could get other labels."""
        ...

    def recognize(self, key: str) -> Recognition:
        """Return everything found in the stored image at or above the storage floor.

        Raises ImageNotFound; UnreadableImage when it can never be recognized;
        RecognitionFailed when another attempt may succeed.
        """
        ...


class LabelStore(Protocol):
    """Keeps image records, finds them by label, and announces each `ImageRecognized` to the subscribers.

    Label names are compared without case, and aliases count as names.
    """

    def create(self, record: ImageRecord) -> None:
        """Keep a new pending record, durably before returning."""
        ...

    def get(self, key: str) -> ImageRecord:
        """Return the record with its labels and image properties. Raises ImageNotFound, also after `delete`."""
        ...

    def save(self, key: str, recognition: Recognition) -> ImageRecord | None:
        """Store the labels and announce them, both or neither; return the record as a search shows it.

        Saving the same recognizer's result of the same model version twice announces it once.
        A record that is not there (deleted meanwhile) stays away: None is returned and nothing is announced.
        """
        ...

    def save_failure(self, key: str, error: Exception) -> ImageRecord | None:
        """Mark the image `rejected` (an UnreadableImage) or `failed` (anything else), with the error's message.

        A record that is not there, or is recognized already, is left alone: None is returned.
        """
        ...

    def delete(self, key: str) -> None:
        """Forget the record, its labels and what waits to be told about it. Raises ImageNotFound.

        From then on the image does not come back, whatever events still arrive.
        """
        ...

    def search(self, query: ImageQuery) -> Page[ImageRecord]:
        """Return one page of acknowledged images, newest first, with all their stored labels.

        Image properties and the colours of instances are left out unless the query asks for them.
        Images that were accepted but never uploaded are not shown. Raises InvalidCursor.
        """
        ...

    def label_counts(self, prefix: str = "", limit: int = 50) -> list[LabelCount]:
        """Return the most frequent labels whose name starts with `prefix`, most frequent first."""
        ...

    def subscribe(self, subscription: Subscription) -> None:
        """Keep a subscription, durably before returning."""
        ...

    def unsubscribe(self, subscription_id: str) -> None:
        """Forget a subscription and what waits to be told to it. Raises SubscriptionNotFound."""
        ...

    def subscription(self, subscription_id: str) -> Subscription:
        """Return one subscription, its secret included. Raises SubscriptionNotFound."""
        ...

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions, oldest first."""
        ...


class Notifier(Protocol):
    """Tells one subscriber over one channel."""

    def notify(self, subscription: Subscription, notifications: Sequence[NotificationDue]) -> None:
        """Tell `subscription` about the images: in one mail, or in one call each.

        Returning means that the other side has taken it. Raises NotificationFailed when another attempt
        may succeed and NotificationRefused when none can.
        """
        ...


class Outboxes(Protocol):
    """What waits to be told: one queue a subscription, so that a dead receiver delays nobody else."""

    def due(self) -> list[str]:
        """Return the ids of the subscriptions that have something to be delivered now."""
        ...

    def outbox(self, subscription_id: str) -> EventQueue[NotificationDue]:
        """Return the queue of one subscription."""
        ...

    def dead_letters(self, limit: int = 50, cursor: str | None = None) -> Page[DeadLetter]:
        """Return the dead letters of all subscriptions, newest first. Raises InvalidCursor."""
        ...

    def redrive(self, ids: Iterable[str] | None = None) -> list[str]:
        """Deliver the named dead letters again (all when None); return the keys of their images."""
        ...


Notifiers = Mapping[Channel, Notifier]
