"""The local loops: receive an image, recognize it; find a subscriber with mail waiting, tell it; keep house."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from lumitag.bootstrap import Platform
from lumitag.domain import now
from lumitag.errors import StoreError
from lumitag.events import ImageUploaded, NotificationDue
from lumitag.pipeline import Outcome
from lumitag.ports import Message
from lumitag.telemetry import log

_RECEIVE_WAIT_S: Final = 1.0
_PAUSE_S: Final = 1.0
_OUTBOX_POLL_S: Final = 0.2
_REST_S: Final = 30.0  # A subscriber that just failed is left alone for so long; the others are not delayed.
_DELIVERIES: Final = 8  # Subscribers that are told at the same time.
_TURN_S: Final = 10.0  # Then it is another subscriber's turn: slow ones with much to be told delay nobody else.
_HOUSEKEEPING_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 10.0
_SPARE_THREADS: Final = 2  # They receive and save while the others wait for a recognizer process.


class Worker:
    """Runs the loops in threads of this process until it is stopped."""

    def __init__(self, platform: Platform, recognizers: int) -> None:
        self._platform = platform
        self._pipeline = platform.pipeline
        self._metrics = platform.metrics
        self._stopping = threading.Event()
        loops = [self._recognize_loop] * (recognizers + _SPARE_THREADS) + [self._notify_loop, self._housekeeping_loop]
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name=f"{loop.__name__.strip('_')}-{number}", daemon=True)
            for number, loop in enumerate(loops)
        ]

    def start(self) -> None:
        """Start all loops."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop receiving, let what is in hand finish, and return after at most ten seconds."""
        self._stopping.set()
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, loop: Callable[[], None]) -> None:
        """Run one turn of a loop after the other; a store that does not answer pauses it, nothing ends it."""
        while not self._stopping.is_set():
            try:
                loop()
            except StoreError as error:
                log("store_unavailable", "warning", reason=error.code)
                self._stopping.wait(_PAUSE_S)
            except Exception as error:  # noqa: BLE001 - a loop that died would be a silent standstill
                log("loop_failed", "error", loop=loop.__name__, error=f"{type(error).__name__}: {error}")
                self._stopping.wait(_PAUSE_S)

    def _recognize_loop(self) -> None:
        if not self._platform.wait_recognizer(_RECEIVE_WAIT_S):
            return  # Nothing is received while nobody could recognize it: waiting must not cost attempts.
        for message in self._pipeline.event_queue.receive(1, _RECEIVE_WAIT_S):
            self._recognize(message)

    def _recognize(self, message: Message[ImageUploaded]) -> None:
        started = time.monotonic()
        outcome = self._outcome(message)
        if outcome is None:
            return
        seconds = time.monotonic() - started
        self._metrics.count("recognize_total", outcome=outcome.value)
        self._metrics.observe("recognize_seconds", seconds)
        if outcome in {Outcome.RECOGNIZED, Outcome.REJECTED}:
            waited = (now() - message.event.upload_time).total_seconds()
            self._metrics.observe("end_to_end_seconds", max(0.0, waited))
        log(
            "image_recognized" if outcome is Outcome.RECOGNIZED else f"image_{outcome.value}",
            key=message.event.key,
            request_id=message.event.request_id,
            attempt=message.receive_count,
            duration_ms=round(seconds * 1000, 1),
        )

    def _outcome(self, message: Message[ImageUploaded]) -> Outcome | None:
        """Recognize one image until the store takes what came of it; return None if the worker is stopped before.

        On a full disk not even the message can be given back: whoever let go of it would hide it until its lease
        ends, and cost it an attempt.
        """
        while True:
            try:
                return self._pipeline.recognize_image(message)
            except StoreError as error:
                log("store_unavailable", "warning", reason=error.code)
            if self._stopping.wait(_PAUSE_S):
                return None

    def _notify_loop(self) -> None:
        """Hand every subscriber that is due to a thread of its own, one at a time each, until stopping."""
        busy: dict[str, Future[bool]] = {}
        rested: dict[str, float] = {}
        with ThreadPoolExecutor(_DELIVERIES, "deliver") as deliveries:
            while not self._stopping.wait(_OUTBOX_POLL_S):
                _note_finished(busy, rested)
                for subscription_id in self._pipeline.outboxes.due():
                    if subscription_id not in busy and rested.get(subscription_id, 0) <= time.monotonic():
                        busy[subscription_id] = deliveries.submit(self._tell, subscription_id)

    def _tell(self, subscription_id: str) -> bool:
        """Tell one subscriber what waits, for one turn; return whether it took everything it was told."""
        turn_ends = time.monotonic() + _TURN_S
        while not self._stopping.is_set():
            tried = self._pipeline.notify(subscription_id)
            for message, outcome in tried:
                self._note_delivery(message, outcome)
            if any(outcome is Outcome.RETRIED for _, outcome in tried):
                return False
            if not tried or time.monotonic() >= turn_ends:
                break
        return True

    def _note_delivery(self, message: Message[NotificationDue], outcome: Outcome) -> None:
        event = message.event
        self._metrics.count("notifications_total", channel=event.channel.value, outcome=outcome.value)
        log(
            f"notification_{outcome.value}",
            key=event.key,
            request_id=event.request_id,
            channel=event.channel.value,
            subscription=event.subscription_id,
            attempt=message.receive_count,
        )

    def _housekeeping_loop(self) -> None:
        for kind, count in self._platform.keep_house().items():
            if count:
                self._metrics.count("reconciler_repairs_total", count, kind=kind)
                log("repaired", "warning", kind=kind, count=count)
        self._stopping.wait(_HOUSEKEEPING_S)


def _note_finished(busy: dict[str, Future[bool]], rested: dict[str, float]) -> None:
    """Forget finished deliveries; a subscriber that failed rests before its next turn."""
    for subscription_id in [name for name, delivery in busy.items() if delivery.done()]:
        delivery = busy.pop(subscription_id)
        if (error := delivery.exception()) is not None:
            log("delivery_broke_off", "error", subscription=subscription_id, error=f"{type(error).__name__}: {error}")
        if error is not None or not delivery.result():
            rested[subscription_id] = time.monotonic() + _REST_S
