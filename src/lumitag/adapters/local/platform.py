"""The local platform: one folder, one database, embedded models. Fills the fields of `Pipeline`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from lumitag import __version__
from lumitag.adapters.local._data_folder import DataFolderLock, bind_store, load_signing_key
from lumitag.adapters.local._database import Database
from lumitag.adapters.local._files import make_private_folder
from lumitag.adapters.local._housekeeping import Housekeeper
from lumitag.adapters.local.event_queue import SQLiteEventQueue
from lumitag.adapters.local.label_store import SQLiteLabelStore
from lumitag.adapters.local.notifier import SMTPNotifier, WebhookNotifier, new_subscription
from lumitag.adapters.local.object_store import FileObjectStore
from lumitag.adapters.local.outboxes import SQLiteOutboxes
from lumitag.adapters.local.recognizer import ONNXRecognizer, RecognizerPool, build_recognizer_pool
from lumitag.domain import Channel, Frequency, ImageStatus, Subscription
from lumitag.errors import StoreError, UnreadableImage
from lumitag.events import ImageUploaded
from lumitag.pipeline import Pipeline
from lumitag.platform import OnChange, Platform
from lumitag.ports import Notifiers
from lumitag.settings import Settings
from lumitag.telemetry import Metrics

DATABASE_NAME = "lumitag.sqlite3"


@dataclass(frozen=True)
class _Parts:
    """What the local platform is made of."""

    settings: Settings
    metrics: Metrics
    database: Database
    event_queue: SQLiteEventQueue[ImageUploaded]
    outboxes: SQLiteOutboxes
    label_store: SQLiteLabelStore
    object_store: FileObjectStore
    pool: RecognizerPool
    served: ExitStack

    def take_over(self) -> None:
        """Become the only server of the data folder, and free what a dead one had in hand."""
        self.served.enter_context(DataFolderLock(self.settings.data))
        self.pool.start()
        self.event_queue.release_abandoned()
        self.outboxes.release_abandoned()

    def wait_recognizer(self, timeout_s: float) -> bool:
        """Start the recognizer processes and wait until one is ready; return whether one is."""
        self.pool.start()
        return self.pool.wait_ready(timeout_s)

    def thumbnail(self, key: str) -> bytes:
        """Return the small JPEG of an image, made when it is first asked for."""
        if (known := self.object_store.read_thumbnail(key)) is not None:
            return known
        record = self.label_store.get(key)
        if record.status in {ImageStatus.REJECTED, ImageStatus.FAILED}:
            raise UnreadableImage(record.reason)  # It has cost the recognizers enough.
        with self.object_store.open(key) as file:
            content = self.pool.thumbnail(file)
        with suppress(StoreError):  # On a full disk it cannot be kept, but it can be shown.
            self.object_store.write_thumbnail(key, content)
        self.label_store.get(key)  # Raises if the image was deleted meanwhile: then nobody may see it any more.
        return content

    def readiness(self) -> Mapping[str, str]:
        """Return the name of each check with "ok" or what is wrong."""
        free = self.object_store.free_bytes()
        return {
            "database": "ok" if self.database.is_healthy else "does not take writes; look at the log, then restart",
            "objects": "ok" if self.object_store.is_healthy else "cannot be flushed; check the disk, then restart",
            "recognizer": "ok" if self.pool.ready_count else self.pool.problem or "no recognizer process is ready yet",
            "room": "ok" if free >= self.settings.min_free_bytes else f"only {free:,} bytes are free",
        }

    def refresh_gauges(self) -> None:
        """Set the metrics that are looked up rather than counted."""
        self.metrics.set("queue_depth", self.event_queue.depth())
        self.metrics.set("queue_oldest_age_seconds", self.event_queue.oldest_age_s())
        self.metrics.set("outbox_depth", self.outboxes.depth())
        self.metrics.set("dead_letters", self.event_queue.dead_letter_count() + self.outboxes.dead_letter_count())
        for status, count in self.label_store.counts_by_status().items():
            self.metrics.set("images", count, status=status.value)
        self.metrics.set("store_free_bytes", self.object_store.free_bytes())
        self.metrics.set("database_bytes", self.database.path.stat().st_size)
        self.metrics.set("workers_ready", self.pool.ready_count)

    def new_subscription(
        self, channel: Channel, address: str, labels: tuple[str, ...], min_confidence: float, frequency: Frequency
    ) -> Subscription:
        """Return a new subscription whose address these settings allow. Raises InvalidSubscription."""
        allow_private = self.settings.webhooks_may_be_private
        return new_subscription(channel, address, labels, min_confidence, frequency, allow_private=allow_private)

    def close(self) -> None:
        """Give everything back, last made first."""
        self.pool.close()
        self.database.close()
        self.served.close()


def build(settings: Settings, on_change: OnChange | None = None) -> Platform:
    """Return the local platform. Nothing runs yet: recognizer processes start when they are first needed.

    Raises StoreDamaged if the data folder is not what it should be.
    """
    parts = _assemble(settings, on_change)
    parts.metrics.before_render(parts.refresh_gauges)
    return Platform(
        pipeline=Pipeline(
            object_store=parts.object_store,
            event_queue=parts.event_queue,
            recognizer=ONNXRecognizer(parts.object_store, parts.pool),
            label_store=parts.label_store,
            notifiers=_notifiers(settings),
            outboxes=parts.outboxes,
            max_image_bytes=settings.max_image_bytes,
        ),
        metrics=parts.metrics,
        uploads=parts.object_store,
        thumbnail=parts.thumbnail,
        new_subscription=parts.new_subscription,
        outbox=parts.outboxes.waiting,
        readiness=parts.readiness,
        take_over=parts.take_over,
        wait_recognizer=parts.wait_recognizer,
        keep_house=Housekeeper(parts.database, parts.object_store, parts.event_queue, parts.label_store).keep_house,
        close=parts.close,
    )


def open_database(settings: Settings) -> Database:
    """Return the database of the data folder, made when there is none. Raises StoreDamaged."""
    make_private_folder(settings.data)
    database = Database(settings.data / DATABASE_NAME)
    try:
        bind_store(settings.data, database)
    except BaseException:
        database.close()
        raise
    return database


def _assemble(settings: Settings, on_change: OnChange | None) -> _Parts:
    metrics = Metrics()
    database = open_database(settings)
    outboxes = SQLiteOutboxes(
        database,
        _notifiers(settings),
        visibility_timeout_s=settings.visibility_timeout_s,
        max_receive_count=settings.notify_max_attempts,
    )
    label_store = SQLiteLabelStore(database, outboxes, on_change=on_change)
    event_queue = SQLiteEventQueue(
        database,
        "images",
        ImageUploaded.from_json,
        visibility_timeout_s=settings.visibility_timeout_s,
        max_receive_count=settings.max_receive_count,
        on_dead=label_store.fail_pending,
    )
    object_store = FileObjectStore(
        settings.data,
        database,
        lambda connection, event: event_queue.enqueue(connection, [event]),
        signing_key=load_signing_key(settings.data),
        max_bytes=settings.max_image_bytes,
        min_free_bytes=settings.min_free_bytes,
        upload_lifetime_s=settings.upload_lifetime_s,
    )
    pool = build_recognizer_pool(settings, lambda cause: metrics.count("recognizer_restarts_total", cause=cause))
    return _Parts(settings, metrics, database, event_queue, outboxes, label_store, object_store, pool, ExitStack())


def _notifiers(settings: Settings) -> Notifiers:
    webhook = WebhookNotifier(
        allow_private=settings.webhooks_may_be_private,
        base_url=_base_url(settings),
        timeout_s=settings.notify_timeout_s,
        user_agent=f"Lumitag/{__version__}",
    )
    if settings.smtp_host is None:
        return {Channel.WEBHOOK: webhook}
    mail = SMTPNotifier(
        settings.smtp_host,
        settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        sender=settings.mail_from,
        base_url=_base_url(settings),
        timeout_s=settings.notify_timeout_s,
    )
    return {Channel.MAIL: mail, Channel.WEBHOOK: webhook}


def _base_url(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return settings.public_url or f"http://{host}:{settings.port}"
