"""The story of one image, told with fakes: what happens, in which order, and what happens when it goes wrong."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumitag.domain import (
    Channel,
    Frequency,
    ImageQuery,
    ImageStatus,
    Label,
    Subscription,
    UploadRequest,
)
from lumitag.errors import (
    DamagedImage,
    ImageNotFound,
    InvalidRequest,
    NotificationFailed,
    NotificationRefused,
    RecognizerCrashed,
    RecognizerUnavailable,
    StoreFull,
    UnsupportedImageType,
    UploadTooLarge,
)
from lumitag.events import ImageUploaded, NotificationDue
from lumitag.pipeline import Outcome, Pipeline, clean_file_name, notify_delay_s, recognize_delay_s
from lumitag.ports import Message
from tests.fakes import (
    FakeEventQueue,
    FakeLabelStore,
    FakeObjectStore,
    FakeOutboxes,
    FakeRecognizer,
    RecordingNotifier,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
REQUEST = UploadRequest("cat.jpg", "image/jpeg", 3)
HOOK = Subscription("hook1", Channel.WEBHOOK, "https://a.example", NOON)


@dataclass
class House:
    """A pipeline on fakes, and the fakes."""

    queue: FakeEventQueue[ImageUploaded] = field(default_factory=lambda: FakeEventQueue(max_receive_count=2))
    outboxes: FakeOutboxes = field(default_factory=FakeOutboxes)
    recognizer: FakeRecognizer = field(default_factory=FakeRecognizer)
    notifier: RecordingNotifier = field(default_factory=RecordingNotifier)

    def __post_init__(self) -> None:
        self.labels = FakeLabelStore(self.outboxes)
        self.objects = FakeObjectStore(self.labels, lambda event: self.queue.send([event]))
        self.recognizer.object_store = self.objects
        self.pipeline = Pipeline(
            object_store=self.objects,
            event_queue=self.queue,
            recognizer=self.recognizer,
            label_store=self.labels,
            notifiers={Channel.WEBHOOK: self.notifier, Channel.MAIL: self.notifier},
            outboxes=self.outboxes,
            max_image_bytes=100,
        )

    def upload(self, request: UploadRequest = REQUEST) -> str:
        grant = self.pipeline.accept_upload(request, "http://here", "request-1")
        self.objects.put(self.labels.get(grant.key), io.BytesIO(b"cat"))
        return grant.key

    def received(self) -> Iterator[Message[ImageUploaded]]:
        while messages := self.queue.receive(1, 0):
            yield from messages

    def work(self) -> list[Outcome]:
        return [self.pipeline.recognize_image(message) for message in self.received()]


@pytest.fixture
def house() -> House:
    return House()


def test_an_upload_becomes_labels_and_a_notification(house: House) -> None:
    house.labels.subscribe(HOOK)
    key = house.upload()

    assert house.work() == [Outcome.RECOGNIZED]
    record = house.pipeline.show_image(key)
    assert record.status is ImageStatus.RECOGNIZED
    assert [label.name for label in record.labels] == ["Dog"]
    assert [outcome for _, outcome in house.pipeline.notify("hook1")] == [Outcome.DELIVERED]
    [(told, due)] = house.notifier.sent
    assert (told, due.key, due.request_id) == (HOOK, key, "request-1")
    assert house.pipeline.notify("hook1") == []
    assert house.queue.depth() == 0


def test_the_server_makes_the_key_and_the_file_name_is_only_data(house: House) -> None:
    key = house.upload(replace(REQUEST, file_name="../../etc/passwd\0.jpg"))

    assert "passwd" not in key
    assert house.pipeline.show_image(key).file_name == "passwd.jpg"


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (replace(REQUEST, content_type="image/svg+xml"), UnsupportedImageType, "image/svg"),
        (replace(REQUEST, content_type=""), UnsupportedImageType, "without a type"),
        (replace(REQUEST, size=0), InvalidRequest, "empty"),
        (replace(REQUEST, size=101), UploadTooLarge, "101 bytes"),
    ],
)
def test_what_cannot_be_an_image_is_refused_before_it_is_uploaded(
    house: House, request_: UploadRequest, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        house.pipeline.accept_upload(request_, "http://here")

    assert house.pipeline.search(ImageQuery()).items == ()


def test_an_unreadable_image_is_rejected_with_its_reason_and_not_tried_again(house: House) -> None:
    key = house.upload()
    house.recognizer.answers[key] = DamagedImage("The image ends in the middle.")

    assert house.work() == [Outcome.REJECTED]
    record = house.pipeline.show_image(key)
    assert (record.status, record.reason) == (ImageStatus.REJECTED, "The image ends in the middle.")
    assert house.queue.depth() == 0


def test_an_image_that_keeps_failing_is_tried_again_and_ends_as_a_visible_dead_letter(house: House) -> None:
    key = house.upload()
    house.recognizer.answers[key] = RecognizerCrashed()

    [message] = house.queue.receive(1, 0)
    assert house.pipeline.recognize_image(message) is Outcome.RETRIED
    assert house.pipeline.show_image(key).status is ImageStatus.PENDING
    assert house.pipeline.recognize_image(replace(message, receive_count=2, is_last=True)) is Outcome.FAILED

    record = house.pipeline.show_image(key)
    assert record.status is ImageStatus.FAILED
    assert record.reason == RecognizerCrashed().message


def test_a_redriven_image_is_recognized(house: House) -> None:
    key = house.upload()
    house.recognizer.answers[key] = RecognizerCrashed()
    [message] = house.queue.receive(1, 0)
    house.labels.save_failure(key, RecognizerCrashed())
    house.queue.bury(message, "crashed")
    del house.recognizer.answers[key]

    [letter] = house.pipeline.dead_letters().items
    assert house.pipeline.redrive([letter.id]) == [key]
    assert house.pipeline.redrive([letter.id]) == []

    assert house.work() == [Outcome.RECOGNIZED]
    assert house.pipeline.show_image(key).status is ImageStatus.RECOGNIZED
    assert house.pipeline.dead_letters().items == ()


def test_a_store_that_is_full_while_saving_loses_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.upload()
    monkeypatch.setattr(house.labels, "save", raise_full)

    assert house.work() == [Outcome.RETRIED]
    assert house.queue.depth() == 1


@pytest.mark.parametrize("error", [StoreFull(), RecognizerUnavailable()])
def test_what_is_not_the_fault_of_an_image_costs_it_no_attempt(error: Exception) -> None:
    """A disk that is full for a day must not end with a dead letter for each image: nobody is there to redrive them."""
    moments = (NOON + timedelta(minutes=number) for number in count())
    house = House(queue=FakeEventQueue(max_receive_count=2, clock=lambda: next(moments)))
    key = house.upload()
    house.recognizer.answers[key] = error

    for _ in range(10):
        [message] = house.queue.receive(1, 0)
        assert house.pipeline.recognize_image(message) is Outcome.RETRIED
    del house.recognizer.answers[key]

    assert house.pipeline.show_image(key).status is ImageStatus.PENDING
    assert house.work() == [Outcome.RECOGNIZED]


def raise_full(*_: object) -> None:
    raise StoreFull


@pytest.mark.parametrize("status", [ImageStatus.RECOGNIZED, ImageStatus.REJECTED])
def test_a_repeated_event_changes_nothing(house: House, status: ImageStatus) -> None:
    house.labels.subscribe(HOOK)
    key = house.upload()
    if status is ImageStatus.REJECTED:
        house.recognizer.answers[key] = DamagedImage()
    house.work()
    before = house.pipeline.show_image(key)

    house.queue.send([ImageUploaded(key, NOON)] * 2)

    assert house.work() == [Outcome.SKIPPED, Outcome.SKIPPED]
    assert house.pipeline.show_image(key) == before
    assert house.recognizer.asked == [key]
    assert len(house.pipeline.notify("hook1")) <= 1
    assert house.pipeline.notify("hook1") == []


def test_a_deleted_image_never_comes_back(house: House) -> None:
    key = house.upload()
    [message] = house.queue.receive(1, 0)

    house.pipeline.delete_image(key)

    assert house.pipeline.recognize_image(message) is Outcome.SKIPPED
    with pytest.raises(ImageNotFound):
        house.pipeline.show_image(key)
    assert house.objects.contents == {}
    with pytest.raises(ImageNotFound):
        house.pipeline.delete_image(key)


def test_an_image_deleted_while_it_is_recognized_stays_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    key = house.upload()
    recognize = house.recognizer.recognize

    def recognize_and_delete(key: str) -> object:
        recognition = recognize(key)
        house.pipeline.delete_image(key)
        return recognition

    monkeypatch.setattr(house.recognizer, "recognize", recognize_and_delete)

    house.work()

    with pytest.raises(ImageNotFound):
        house.pipeline.show_image(key)
    assert house.pipeline.search(ImageQuery()).items == ()


def test_a_new_model_labels_again_what_is_asked_for(house: House) -> None:
    key = house.upload()
    house.work()

    assert house.pipeline.relabel(ImageQuery()) == 0
    house.recognizer.model_version = "fake-2"
    house.recognizer.labels = (Label("Cat", "n02121620", 91.0, categories=("Animals and Pets",)),)
    assert house.pipeline.relabel(ImageQuery(all_of=("dog",))) == 1

    assert house.work() == [Outcome.RECOGNIZED]
    record = house.pipeline.show_image(key)
    assert (record.model_version, record.labels[0].name) == ("fake-2", "Cat")


def test_a_rejected_image_is_only_tried_again_when_every_image_is(house: House) -> None:
    key = house.upload()
    house.recognizer.answers[key] = DamagedImage()
    house.work()
    del house.recognizer.answers[key]

    assert house.pipeline.relabel(ImageQuery()) == 0
    assert house.pipeline.relabel(ImageQuery(), every=True) == 1
    assert house.work() == [Outcome.RECOGNIZED]


def test_every_image_can_be_labelled_again(house: House) -> None:
    key = house.upload()
    house.work()

    assert house.pipeline.relabel(ImageQuery(), every=True) == 1
    assert house.work() == [Outcome.RECOGNIZED]
    assert house.recognizer.asked == [key, key]


def test_a_search_can_be_walked_to_its_end(house: House) -> None:
    keys = [house.upload() for _ in range(5)]

    walked = [record.key for record in house.pipeline.search_all(ImageQuery(limit=2))]

    assert sorted(walked) == sorted(keys)


def due_for(house: House, subscription: Subscription, count: int) -> None:
    house.labels.subscribe(subscription)
    for _ in range(count):
        house.upload()
    house.work()


def test_a_failed_notification_waits_and_ends_the_turn(house: House) -> None:
    due_for(house, HOOK, 2)
    house.notifier.error = NotificationFailed("The mail server does not answer.")

    [(message, outcome)] = house.pipeline.notify("hook1")

    assert (message.receive_count, outcome) == (1, Outcome.RETRIED)
    assert house.outboxes.outbox("hook1").depth() == 2


def test_a_receiver_that_names_a_time_is_given_that_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    due_for(house, HOOK, 1)
    house.notifier.error = NotificationFailed("Too many.")
    house.notifier.error.retry_after_s = 99.0
    delays: list[float] = []
    outbox = house.outboxes.outbox("hook1")
    monkeypatch.setattr(outbox, "release", lambda _message, _reason, delay_s: delays.append(delay_s))

    house.pipeline.notify("hook1")

    assert delays == [99.0]


def test_a_notification_that_was_tried_too_often_is_a_dead_letter() -> None:
    house = House(outboxes=FakeOutboxes(lambda name: FakeEventQueue(name, max_receive_count=1)))
    due_for(house, HOOK, 1)
    house.notifier.error = NotificationFailed("The mail server does not answer.")

    assert [outcome for _, outcome in house.pipeline.notify("hook1")] == [Outcome.FAILED]

    [letter] = house.pipeline.dead_letters().items
    assert letter.reason == "The mail server does not answer."
    house.notifier.error = None
    assert house.pipeline.redrive() == [letter.key]
    assert [outcome for _, outcome in house.pipeline.notify("hook1")] == [Outcome.DELIVERED]


def test_a_refused_notification_is_a_dead_letter_at_once(house: House) -> None:
    due_for(house, HOOK, 1)
    house.notifier.error = NotificationRefused("The address is gone.")

    assert [outcome for _, outcome in house.pipeline.notify("hook1")] == [Outcome.FAILED]
    assert [letter.reason for letter in house.pipeline.dead_letters().items] == ["The address is gone."]


def test_a_bug_in_a_notifier_loses_nothing(house: House) -> None:
    due_for(house, HOOK, 1)
    house.notifier.error = ZeroDivisionError("a bug")

    assert [outcome for _, outcome in house.pipeline.notify("hook1")] == [Outcome.RETRIED]


def test_a_digest_tells_everything_at_once(house: House) -> None:
    digest = replace(HOOK, id="digest1", channel=Channel.MAIL, frequency=Frequency.HOURLY)
    house.labels.subscribe(digest)
    outbox = house.outboxes.outbox("digest1")
    for number in range(3):
        due_for(house, HOOK, 1)
        [(message, _)] = house.pipeline.notify("hook1")
        outbox.send([NotificationDue.of(digest, replace(message.event.image, key=f"k{number}"))])

    assert [outcome for _, outcome in house.pipeline.notify("digest1")] == [Outcome.DELIVERED] * 3
    assert [subscription.id for subscription, _ in house.notifier.sent[-3:]] == ["digest1"] * 3


def test_what_waits_for_somebody_who_left_is_dropped(house: House) -> None:
    due_for(house, HOOK, 1)
    outbox = house.outboxes.outbox("hook1")
    waiting = outbox.receive(1, 0)[0].event
    house.labels.unsubscribe("hook1")
    house.outboxes.outbox("hook1").send([replace(waiting, id="again")])

    assert [outcome for _, outcome in house.pipeline.notify("hook1")] == [Outcome.SKIPPED]
    assert house.notifier.sent == []


def test_dead_letters_of_images_come_before_those_of_notifications(house: House) -> None:
    due_for(house, HOOK, 2)
    house.notifier.error = NotificationRefused("gone")
    house.pipeline.notify("hook1")
    house.pipeline.notify("hook1")
    for _ in range(3):
        house.upload()
    for message in house.received():
        house.queue.bury(message, "crashed")

    reasons, cursor = [], None
    while True:
        page = house.pipeline.dead_letters(limit=2, cursor=cursor)
        reasons += [letter.reason for letter in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert reasons == ["crashed"] * 3 + ["gone"] * 2


def test_a_cursor_without_a_queue_is_one_of_the_image_queue(house: House) -> None:
    with pytest.raises(InvalidRequest):
        house.pipeline.dead_letters(cursor="nonsense")


def test_delays_grow_and_have_a_limit() -> None:
    assert [recognize_delay_s(n) for n in (1, 2, 3, 4, 99)] == [1, 2, 4, 8, 60]
    assert [notify_delay_s(n) for n in (1, 2, 7, 99)] == [5, 30, 21600, 21600]


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("cat.jpg", "cat.jpg"),
        ("C:\\pictures\\cat.jpg", "cat.jpg"),
        ("/tmp/cat.jpg", "cat.jpg"),
        ("..", "image"),
        ("", "image"),
        ("a\r\nBcc: x@y.example", "aBcc: x@y.example"),
        ("\u202egpj.exe", "gpj.exe"),
        ("e\u0301.jpg", "\u00e9.jpg"),
        ("<script>.jpg", "<script>.jpg"),
    ],
)
def test_file_names_become_harmless_data(name: str, cleaned: str) -> None:
    assert clean_file_name(name) == cleaned


@given(st.text(max_size=400))
def test_any_text_is_a_file_name_in_the_end(name: str) -> None:
    cleaned = clean_file_name(name)

    assert 0 < len(cleaned.encode()) <= 255
    assert cleaned.isprintable() or " " in cleaned or any(character.isspace() for character in cleaned)
    assert "/" not in cleaned
    assert clean_file_name(cleaned) == cleaned
