"""Events survive their JSON and are understood across versions."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumitag.domain import Channel, ImageRecord, ImageStatus, Label, Subscription
from lumitag.events import ImageDeleted, ImageRecognized, ImageUploaded, NotificationDue

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RECOGNIZED = ImageRecognized("k1", "cat.jpg", (Label("Cat", "n02121620", 98.3),), "v1", NOON, "request-1")
SUBSCRIPTION = Subscription("s1", Channel.MAIL, "a@b.example", NOON)


@given(st.text(), st.text(), st.booleans())
def test_image_uploaded_survives_its_json(key: str, request_id: str, relabel: bool) -> None:
    event = ImageUploaded(key, NOON, request_id, relabel)

    assert ImageUploaded.from_json(event.to_json()) == event


def test_the_other_events_survive_their_json() -> None:
    due = NotificationDue.of(SUBSCRIPTION, RECOGNIZED)

    assert ImageRecognized.from_json(RECOGNIZED.to_json()) == RECOGNIZED
    assert NotificationDue.from_json(due.to_json()) == due
    assert ImageDeleted.from_json(ImageDeleted("k1", "r").to_json()) == ImageDeleted("k1", "r")


def test_unknown_fields_of_a_newer_version_are_ignored() -> None:
    value = {**ImageUploaded("k1", NOON).to_json(), "invented": 1}

    assert ImageUploaded.from_json(value) == ImageUploaded("k1", NOON)


def test_fields_that_an_older_version_did_not_know_have_defaults() -> None:
    assert ImageUploaded.from_json({"key": "k1", "uploadTime": "2026-11-23T12:00:00.000Z"}) == ImageUploaded("k1", NOON)


def test_a_notification_keeps_its_id_however_often_it_is_made() -> None:
    first, second = NotificationDue.of(SUBSCRIPTION, RECOGNIZED), NotificationDue.of(SUBSCRIPTION, RECOGNIZED)

    assert first.id == second.id
    assert first.key == "k1"
    assert first.request_id == "request-1"


def test_a_recognized_record_announces_itself() -> None:
    record = ImageRecord(
        "k1", "cat.jpg", "image/jpeg", 9, NOON, status=ImageStatus.RECOGNIZED, model_version="v1", recognized_time=NOON
    )

    assert ImageRecognized.of(record) == ImageRecognized("k1", "cat.jpg", (), "v1", NOON)


def test_a_pending_record_announces_nothing() -> None:
    with pytest.raises(ValueError, match="pending, not recognized"):
        ImageRecognized.of(ImageRecord("k1", "cat.jpg", "image/jpeg", 9, NOON))
