"""The local platform as a whole: what it is built of, and what keeps it in order."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumitag.adapters.local import _recognizer_link
from lumitag.adapters.local.object_store import FileObjectStore
from lumitag.adapters.local.platform import open_database
from lumitag.bootstrap import build_pipeline, build_platform
from lumitag.domain import Channel, Frequency, ImageRecord, UploadRequest
from lumitag.errors import (
    ImageNotFound,
    InvalidSubscription,
    RecognizerTimedOut,
    StoreDamaged,
    StoreInUse,
    UnreadableImage,
    WeightsChanged,
)
from lumitag.events import ImageDeleted
from lumitag.platform import Platform
from lumitag.settings import Settings, load_settings
from tests.photographs import jpeg_of, photograph
from tests.processes import wait_until

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data", workers=1)


@pytest.fixture
def changes() -> list[ImageRecord | ImageDeleted]:
    return []


@pytest.fixture
def platform(settings: Settings, changes: list[ImageRecord | ImageDeleted]) -> Iterator[Platform]:
    platform = build_platform(settings, changes.append)
    yield platform
    platform.close()


def upload(platform: Platform, content: bytes) -> str:
    request = UploadRequest("cat.jpg", "image/jpeg", len(content))
    grant = platform.pipeline.accept_upload(request, "http://here", "request-1")
    platform.pipeline.object_store.put(platform.pipeline.show_image(grant.key), io.BytesIO(content))
    return grant.key


def test_one_image_goes_all_the_way(platform: Platform, changes: list[ImageRecord | ImageDeleted]) -> None:
    key = upload(platform, jpeg_of(photograph("cat")))
    [message] = platform.pipeline.event_queue.receive(1, 0)

    platform.pipeline.recognize_image(message)

    assert "Cat" in [label.name for label in platform.pipeline.show_image(key).labels]
    assert [change.key for change in changes] == [key]
    assert platform.readiness() == dict.fromkeys(("database", "objects", "recognizer", "room"), "ok")


def test_a_thumbnail_is_made_once_and_gone_with_its_image(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    key = upload(platform, jpeg_of(photograph("cat")))
    store = platform.pipeline.object_store
    assert isinstance(store, FileObjectStore)

    first = platform.thumbnail(key)
    monkeypatch.setattr(store, "open", lambda _key: pytest.fail("it was made again"))

    assert platform.thumbnail(key) == first
    monkeypatch.undo()
    platform.pipeline.delete_image(key)
    with pytest.raises(ImageNotFound):
        platform.thumbnail(key)
    assert store.read_thumbnail(key) is None


def test_a_thumbnail_is_shown_though_the_disk_has_no_room_for_it(
    platform: Platform, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = upload(platform, jpeg_of(photograph("cat")))

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)

    assert platform.thumbnail(key).startswith(b"\xff\xd8")
    assert list((settings.data / "tmp").iterdir()) == []


def test_a_recognizer_that_cannot_start_says_why_where_people_look(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_recognizer_link, "_MODULE", "tests.adapters.local.unstartable_recognizer")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    platform.wait_recognizer(0)

    unstarted = "no recognizer process is ready yet"
    wait_until(lambda: platform.readiness()["recognizer"] != unstarted, 30, lambda: "nobody says what is wrong")
    assert platform.readiness()["recognizer"] == WeightsChanged().message


def test_an_image_that_failed_is_not_opened_again_for_its_thumbnail(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = upload(platform, b"not an image")
    platform.pipeline.label_store.save_failure(key, RecognizerTimedOut())
    monkeypatch.setattr(platform.pipeline.object_store, "open", lambda _key: pytest.fail("it was opened again"))

    with pytest.raises(UnreadableImage, match="did not finish this image in time"):
        platform.thumbnail(key)


def test_a_second_server_is_refused_until_the_first_is_gone(platform: Platform, settings: Settings) -> None:
    platform.take_over()
    second = build_platform(settings)

    with pytest.raises(StoreInUse):
        second.take_over()

    platform.close()
    second.take_over()
    second.close()


def test_what_a_dead_server_had_in_hand_is_free_at_once_and_not_blamed(settings: Settings) -> None:
    dead = build_platform(settings)
    upload(dead, b"not an image")
    assert dead.pipeline.event_queue.receive(1, 0)[0].receive_count == 1
    dead.close()
    successor = build_platform(settings)

    assert successor.pipeline.event_queue.receive(1, 0) == []
    successor.take_over()

    assert successor.pipeline.event_queue.receive(1, 0)[0].receive_count == 1
    successor.close()


def test_an_acknowledged_image_that_nothing_is_queued_about_is_queued(platform: Platform) -> None:
    key = upload(platform, b"not an image")
    platform.pipeline.event_queue.delete(platform.pipeline.event_queue.receive(1, 0))
    assert platform.pipeline.event_queue.depth() == 0

    assert platform.keep_house()["unqueued_images"] == 1
    assert platform.keep_house()["unqueued_images"] == 0

    [message] = platform.pipeline.event_queue.receive(1, 0)
    assert (message.event.key, message.event.request_id) == (key, "request-1")


def test_a_clock_that_was_set_back_does_not_keep_an_image_from_its_next_attempt(platform: Platform) -> None:
    upload(platform, b"cat")
    queue = platform.pipeline.event_queue
    [message] = queue.receive(1, 0)
    queue.release(message, "again", 3600)  # as long as a minute seems to be when the clock was an hour ahead

    assert queue.receive(1, 0) == []
    assert platform.keep_house()["delayed_images"] == 1
    [again] = queue.receive(1, 0)
    assert again.id == message.id
    queue.release(again, "again", 60)
    assert platform.keep_house()["delayed_images"] == 0


def test_an_empty_mount_point_does_not_look_like_an_empty_store(platform: Platform, settings: Settings) -> None:
    upload(platform, b"not an image")
    (settings.data / "store-id").unlink()

    with pytest.raises(StoreDamaged, match="Is the right disk mounted"):
        open_database(settings)


def test_gauges_are_looked_up_when_they_are_asked_for(platform: Platform) -> None:
    upload(platform, b"not an image")

    text = platform.metrics.render().decode()

    assert "lumitag_queue_depth 1.0" in text
    assert 'lumitag_images{status="pending"} 1.0' in text
    assert "lumitag_dead_letters 0.0" in text
    assert "lumitag_outbox_depth 0.0" in text


def test_a_disk_without_room_is_not_ready(tmp_path: Path) -> None:
    platform = build_platform(load_settings(data=tmp_path / "data", min_free_bytes=1 << 60))

    assert "bytes are free" in platform.readiness()["room"]
    assert "no recognizer" in platform.readiness()["recognizer"]
    platform.close()


def test_webhooks_to_this_machine_need_a_server_that_only_this_machine_reaches(tmp_path: Path) -> None:
    target = (Channel.WEBHOOK, "http://127.0.0.1:9000/", (), 50.0, Frequency.EACH)
    alone = build_platform(load_settings(data=tmp_path / "a"))
    exposed = build_platform(load_settings(data=tmp_path / "b", host="0.0.0.0", token="0123456789abcdef"))

    assert alone.new_subscription(*target).secret.startswith("whsec_")
    with pytest.raises(InvalidSubscription):
        exposed.new_subscription(*target)
    alone.close()
    exposed.close()


def test_mail_waits_in_the_outbox_until_there_is_a_server(tmp_path: Path) -> None:
    for settings, due in (
        (load_settings(data=tmp_path / "data"), 0),
        (load_settings(data=tmp_path / "data", smtp_host="127.0.0.1", smtp_security="none"), 1),
    ):
        platform = build_platform(settings)
        if due == 0:
            platform.pipeline.label_store.subscribe(
                platform.new_subscription(Channel.MAIL, "a@b.example", (), 50.0, Frequency.EACH)
            )
            upload(platform, jpeg_of(photograph("cat")))
            platform.pipeline.recognize_image(platform.pipeline.event_queue.receive(1, 0)[0])
        assert len(platform.pipeline.outboxes.due()) == due
        assert [waiting["fileName"] for waiting in platform.outbox(10)] == ["cat.jpg"]
        platform.close()


def test_only_the_pipeline_can_be_had(settings: Settings) -> None:
    pipeline = build_pipeline(settings)

    assert pipeline.max_image_bytes == settings.max_image_bytes
