"""What a platform gives to those who serve its pipeline: the HTTP API, the worker and the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from lumitag.domain import Channel, Frequency, ImageRecord, Json, Subscription
from lumitag.events import ImageDeleted, ImageUploaded
from lumitag.pipeline import Pipeline
from lumitag.telemetry import Metrics

NewSubscription = Callable[[Channel, str, tuple[str, ...], float, Frequency], Subscription]
OnChange = Callable[[ImageRecord | ImageDeleted], None]


class IncomingUpload(AbstractContextManager["IncomingUpload"], Protocol):
    """Bytes that arrive for one image; what was not committed when its `with` block ends is removed."""

    def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises UploadMismatch at the first one too many, StoreFull."""

    def commit(self) -> ImageUploaded:
        """Keep the image, durably, and return what was announced. Raises UploadRefused's family, StoreError's."""


class SignedUploads(Protocol):
    """Takes the uploads that its own grants allow."""

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
        """Raise unless the request is the one that a grant was made for, before any byte of it is read."""

    def receive(self, key: str) -> IncomingUpload:
        """Return an upload that takes the bytes of an accepted image. Raises ImageNotFound, StoreError's family."""


@dataclass(frozen=True)
class Platform:
    """A pipeline and what its platform adds for those who serve it.

    Attributes:
        pipeline: the product.
        metrics: the figures of this process.
        uploads: the store that receives signed uploads through this server; None where clients reach it directly (S3).
        thumbnail: returns a small JPEG (longest side 320 px, no metadata) of a stored image, by key;
            raises ImageNotFound, UnreadableImage or RecognitionFailed.
        new_subscription: returns a new subscription from channel, address, labels, min_confidence (percent) and
            frequency; raises InvalidSubscription.
        outbox: returns at most that many notifications that wait, next due first, as JSON:
            id, subscriptionId, key, fileName, dueTime, attempts, reason.
        readiness: returns the name of each check with "ok" or what is wrong.
        take_over: makes this process the only one that serves the store, and frees what a dead one held;
            raises StoreInUse or StoreDamaged.
        wait_recognizer: starts the recognizer and waits at most that many seconds; returns whether it is ready;
            raises InvalidModel where an own model does not fit.
        keep_house: repairs and removes what crashes and abandoned uploads leave behind; returns counts by kind.
        close: gives everything back; the platform is of no use afterwards.
    """

    pipeline: Pipeline
    metrics: Metrics
    uploads: SignedUploads | None
    thumbnail: Callable[[str], bytes]
    new_subscription: NewSubscription
    outbox: Callable[[int], list[Json]]
    readiness: Callable[[], Mapping[str, str]]
    take_over: Callable[[], None]
    wait_recognizer: Callable[[float], bool]
    keep_house: Callable[[], Mapping[str, int]]
    close: Callable[[], None]
