"""The loops: images are recognized, subscribers told, the house kept; nothing ends a loop but the end."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lumitag.bootstrap import build_platform
from lumitag.domain import Channel, Frequency, ImageStatus, Subscription, UploadRequest
from lumitag.entrypoints import worker as worker_module
from lumitag.entrypoints.worker import Worker
from lumitag.errors import NotificationFailed, StoreFull, StoreUnavailable
from lumitag.platform import Platform
from lumitag.settings import load_settings
from lumitag.telemetry import configure_logging
from tests.fakes import FakeRecognizer, RecordingNotifier
from tests.processes import wait_until


@dataclass
class House:
    """A local platform with a fake recognizer and a recording notifier, and the worker over it."""

    platform: Platform
    recognizer: FakeRecognizer
    notifier: RecordingNotifier

    def upload(self) -> str:
        pipeline = self.platform.pipeline
        grant = pipeline.accept_upload(UploadRequest("cat.jpg", "image/jpeg", 3), "http://here", "request-1")
        pipeline.object_store.put(pipeline.show_image(grant.key), io.BytesIO(b"cat"))
        return grant.key

    def status(self, key: str) -> ImageStatus:
        return self.platform.pipeline.show_image(key).status

    def subscribe(self, address: str = "http://127.0.0.1:9/") -> Subscription:
        subscription = self.platform.new_subscription(Channel.WEBHOOK, address, (), 50.0, Frequency.EACH)
        self.platform.pipeline.label_store.subscribe(subscription)
        return subscription


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    recognizer, notifier = FakeRecognizer(), RecordingNotifier()
    platform = build_platform(load_settings(data=tmp_path / "data"))
    pipeline = replace(platform.pipeline, recognizer=recognizer, notifiers={Channel.WEBHOOK: notifier})
    yield House(replace(platform, pipeline=pipeline, wait_recognizer=lambda _: True), recognizer, notifier)
    platform.close()


@pytest.fixture
def run() -> Iterator[Callable[[Platform], Worker]]:
    workers: list[Worker] = []

    def start(platform: Platform) -> Worker:
        worker = Worker(platform, 1)
        workers.append(worker)
        worker.start()
        return worker

    yield start
    for worker in workers:
        worker.stop()


def until(condition: Callable[[], object], what: str) -> None:
    wait_until(condition, 30, lambda: what)


def test_uploads_are_recognized_and_told(house: House, run: Callable[[Platform], Worker]) -> None:
    subscription = house.subscribe()
    run(house.platform)

    keys = [house.upload() for _ in range(5)]

    until(lambda: {house.status(key) for key in keys} == {ImageStatus.RECOGNIZED}, "not all were recognized")
    until(lambda: len(house.notifier.sent) == 5, "not all were told")
    assert {told.id for told, _ in house.notifier.sent} == {subscription.id}
    assert {due.key for _, due in house.notifier.sent} == set(keys)


def test_one_request_id_leads_from_the_upload_to_the_notification(
    house: House, run: Callable[[Platform], Worker], capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = logging.getLogger().handlers[:]
    configure_logging("info")
    house.subscribe()
    run(house.platform)

    house.upload()

    until(lambda: house.notifier.sent, "nobody was told")
    until(lambda: house.platform.pipeline.outboxes.due() == [], "the outbox is not empty")
    logging.getLogger().handlers[:] = handlers
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines if line.get("request_id") == "request-1"] == [
        "image_recognized",
        "notification_delivered",
    ]


def test_nothing_is_received_while_nobody_could_recognize_it(house: House, run: Callable[[Platform], Worker]) -> None:
    """Waiting for a recognizer must not cost an image its attempts."""
    ready = threading.Event()
    key = house.upload()
    run(replace(house.platform, wait_recognizer=ready.wait))

    assert house.recognizer.asked == []
    assert house.status(key) is ImageStatus.PENDING

    ready.set()
    until(lambda: house.status(key) is ImageStatus.RECOGNIZED, "it was not recognized")


@pytest.mark.parametrize("error", [StoreUnavailable(), ZeroDivisionError("a bug")])
def test_an_error_pauses_a_loop_and_does_not_end_it(
    house: House, run: Callable[[Platform], Worker], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_PAUSE_S", 0.01)
    errors = [error] * 5
    ready = house.platform.wait_recognizer

    def fail_first(timeout_s: float) -> bool:
        if errors:
            raise errors.pop()
        return ready(timeout_s)

    run(replace(house.platform, wait_recognizer=fail_first))
    key = house.upload()

    until(lambda: house.status(key) is ImageStatus.RECOGNIZED, "the loop has ended")


def test_an_image_is_not_let_go_of_while_the_disk_is_full(
    house: House, run: Callable[[Platform], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be hidden for the whole visibility timeout, and after some of those a dead letter."""
    monkeypatch.setattr(worker_module, "_PAUSE_S", 0.01)
    pipeline, is_full = house.platform.pipeline, threading.Event()
    is_full.set()

    def on_a_full_disk(work: Callable[..., Any]) -> Callable[..., Any]:
        def fail_while_full(*arguments: Any, **options: Any) -> Any:
            if is_full.is_set():
                raise StoreFull
            return work(*arguments, **options)

        return fail_while_full

    monkeypatch.setattr(pipeline.label_store, "save", on_a_full_disk(pipeline.label_store.save))
    monkeypatch.setattr(pipeline.event_queue, "release", on_a_full_disk(pipeline.event_queue.release))
    key = house.upload()
    run(house.platform)

    until(lambda: len(house.recognizer.asked) > 10, "it is not tried again")
    is_full.clear()

    until(lambda: house.status(key) is ImageStatus.RECOGNIZED, "it was not recognized when there was room again")
    assert pipeline.dead_letters().items == ()


def test_a_subscriber_with_much_to_be_told_lets_others_have_their_turn(
    house: House, run: Callable[[Platform], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_DELIVERIES", 1)
    monkeypatch.setattr(worker_module, "_TURN_S", 0.0)
    ids = {house.subscribe(f"http://127.0.0.1:{port}/").id for port in (1, 2)}
    for _ in range(3):
        house.upload()
        [message] = house.platform.pipeline.event_queue.receive(1, 0)
        house.platform.pipeline.recognize_image(message)

    run(house.platform)

    until(lambda: len(house.notifier.sent) == 6, "not all were told")
    assert {told.id for told, _ in house.notifier.sent[:2]} == ids


def test_a_subscriber_that_fails_rests_and_delays_nobody_else(house: House, run: Callable[[Platform], Worker]) -> None:
    dead = house.subscribe("http://127.0.0.1:1/dead")
    house.subscribe("http://127.0.0.1:2/alive")
    tried: list[str] = []
    tell = house.notifier.notify

    def fail_the_dead(subscription: Subscription, notifications: object) -> None:
        tried.append(subscription.id)
        if subscription.id == dead.id:
            raise NotificationFailed("dead")
        tell(subscription, notifications)  # type: ignore[arg-type]

    house.notifier.notify = fail_the_dead  # type: ignore[method-assign]
    run(house.platform)

    keys = [house.upload() for _ in range(3)]

    until(lambda: {due.key for _, due in house.notifier.sent} == set(keys), "the living was not told")
    assert tried.count(dead.id) == 1
    assert house.platform.pipeline.outboxes.outbox(dead.id).depth() == 3


def test_a_delivery_that_breaks_off_is_tried_again(
    house: House, run: Callable[[Platform], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_REST_S", 0.01)
    house.subscribe()
    pipeline = house.platform.pipeline
    failures = [StoreUnavailable()]
    subscription_of = pipeline.label_store.subscription

    def fail_once(subscription_id: str) -> Subscription:
        if failures:
            raise failures.pop()
        return subscription_of(subscription_id)

    monkeypatch.setattr(pipeline.label_store, "subscription", fail_once)
    run(house.platform)

    house.upload()

    until(lambda: house.notifier.sent, "nobody was told")


def test_what_the_housekeeper_repairs_is_counted(house: House, run: Callable[[Platform], Worker]) -> None:
    run(replace(house.platform, keep_house=lambda: {"drafts": 2, "tombstones": 0}))

    def text() -> str:
        return house.platform.metrics.render().decode()

    until(lambda: 'lumitag_reconciler_repairs_total{kind="drafts"} 2.0' in text(), "it was not counted")
    assert "tombstones" not in text()


def test_stopping_lets_what_is_in_hand_finish(house: House, run: Callable[[Platform], Worker]) -> None:
    begun, may_end = threading.Event(), threading.Event()
    recognize = house.recognizer.recognize

    def slowly(key: str) -> object:
        begun.set()
        may_end.wait(30)
        return recognize(key)

    house.recognizer.recognize = slowly  # type: ignore[method-assign, assignment]
    worker = run(house.platform)
    key = house.upload()
    assert begun.wait(30)
    threading.Timer(0.2, may_end.set).start()

    worker.stop()

    assert house.status(key) is ImageStatus.RECOGNIZED
