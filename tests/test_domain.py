"""The nouns: keys, times, JSON and thresholds."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumitag.domain import (
    BoundingBox,
    Channel,
    DominantColor,
    Frequency,
    ImageProperties,
    ImageRecord,
    ImageStatus,
    Instance,
    Label,
    Quality,
    Recognition,
    RegionProperties,
    Subscription,
    UploadGrant,
    first_key_at,
    is_key,
    new_key,
    now,
    time_from_json,
    time_from_ms,
    time_to_json,
    time_to_ms,
)
from tests.fakes import DOG, PROPERTIES, SPOT, SPOT_BOXES

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

ratios = st.floats(0, 1, allow_nan=False)
percents = st.floats(0, 100, allow_nan=False)
boxes = st.builds(BoundingBox, ratios, ratios, ratios, ratios)
names = st.text(max_size=20)
channels = st.integers(0, 255)
color_tuples = st.lists(st.builds(DominantColor, channels, channels, channels, percents), max_size=3).map(tuple)
name_tuples = st.lists(names, max_size=3).map(tuple)
labels = st.builds(
    Label,
    name=names,
    concept=names,
    confidence=percents,
    parents=name_tuples,
    aliases=name_tuples,
    categories=name_tuples,
    instances=st.lists(st.builds(Instance, boxes, percents, color_tuples), max_size=3).map(tuple),
)
qualities = st.builds(Quality, percents, percents, st.none() | percents)
regions = st.builds(RegionProperties, qualities, color_tuples)
recognitions = st.builds(
    Recognition,
    labels=st.lists(labels, max_size=4).map(tuple),
    width=st.integers(1, 10_000),
    height=st.integers(1, 10_000),
    recognizer=names,
    model_version=names,
    properties=st.none()
    | st.builds(ImageProperties, qualities, color_tuples, st.none() | regions, st.none() | regions),
)


def label(name: str, confidence: float, *aliases: str) -> Label:
    return Label(name, f"test:{name}", confidence, aliases=aliases)


def record(**changes: object) -> ImageRecord:
    values: dict[str, object] = {
        "key": new_key(),
        "file_name": "cat.jpg",
        "content_type": "image/jpeg",
        "size": 10,
        "created_time": NOON,
    }
    return ImageRecord(**{**values, **changes})  # type: ignore[arg-type]


@given(recognitions)
def test_a_recognition_survives_its_json(recognition: Recognition) -> None:
    assert Recognition.from_json(recognition.to_json()) == recognition


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_time_survives_its_json_and_its_milliseconds(moment: datetime) -> None:
    to_the_ms = moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    assert time_from_json(time_to_json(to_the_ms) or "") == to_the_ms
    assert time_from_ms(time_to_ms(to_the_ms)) == to_the_ms


def test_a_time_is_written_in_utc_with_milliseconds() -> None:
    assert time_to_json(NOON) == "2026-11-23T12:00:00.000Z"
    assert time_to_json(None) is None


def test_a_time_without_a_zone_is_utc() -> None:
    assert time_from_json("2026-11-23T12:00:00") == NOON
    assert time_from_json("2026-11-23T14:00:00+02:00") == NOON


def test_keys_are_distinct_and_have_the_shape_of_keys() -> None:
    keys = {new_key() for _ in range(1000)}

    assert len(keys) == 1000
    assert all(is_key(key) for key in keys)


def test_the_order_of_keys_is_the_order_of_time() -> None:
    before = first_key_at(now() - timedelta(milliseconds=2))
    key = new_key()
    after = first_key_at(now() + timedelta(milliseconds=2))

    assert before < key < after


def test_a_bound_for_a_time_before_1970_is_the_smallest_key() -> None:
    assert first_key_at(datetime(1900, 1, 1, tzinfo=UTC)) == "0" * 26


@pytest.mark.parametrize(
    "text", ["", "..", "../../etc/passwd", "a" * 26 + "/", "I" * 26, "z" * 26, "0" * 25, "0" * 27, "0" * 25 + "\0"]
)
def test_what_is_not_a_key_is_no_key(text: str) -> None:
    assert not is_key(text)


def test_visible_labels_are_filtered_when_read() -> None:
    full = record(labels=(label("Dog", 90), label("Animal", 80), label("Cat", 40)))

    assert [seen.name for seen in full.visible_labels(80)] == ["Dog", "Animal"]
    assert [seen.name for seen in full.visible_labels(0, max_labels=1)] == ["Dog"]
    assert full.with_visible_labels(85).labels == (label("Dog", 90),)


def test_visible_labels_carry_only_visible_instances() -> None:
    here, there = Instance(BoundingBox(0, 0, 0.5, 0.5), 90.0), Instance(BoundingBox(0.5, 0.5, 0.5, 0.5), 40.0)
    dogs = Label("Dog", "n02084071", 90.0, instances=(here, there))

    [seen] = record(labels=(dogs,)).visible_labels(50)

    assert seen.instances == (here,)
    assert record(labels=(dogs,)).visible_labels(30) == (dogs,)


def test_a_record_shows_its_status_and_times_in_json() -> None:
    shown = record(status=ImageStatus.REJECTED, reason="too small", upload_time=NOON).to_json()

    assert shown["status"] == "rejected"
    assert shown["reason"] == "too small"
    assert shown["uploadTime"] == "2026-11-23T12:00:00.000Z"
    assert shown["recognizedTime"] is None


def test_a_record_without_properties_says_nothing_of_colours() -> None:
    record = ImageRecord(new_key(), "spot.jpg", "image/jpeg", 3, NOON, labels=(DOG, SPOT), properties=PROPERTIES)
    short = json.dumps(record.without_properties().to_json())

    assert record.to_json()["properties"] == PROPERTIES.to_json()
    assert "properties" not in short
    assert "dominantColors" not in short
    assert [one.bounding_box for one in record.without_properties().labels[1].instances] == list(SPOT_BOXES)


def test_a_grant_shows_everything_a_client_needs() -> None:
    grant = UploadGrant("k", "http://x/objects/k", "PUT", {"Content-Type": "image/png"}, {}, NOON)

    assert grant.to_json() == {
        "key": "k",
        "uploadUrl": "http://x/objects/k",
        "method": "PUT",
        "headers": {"Content-Type": "image/png"},
        "fields": {},
        "expiresAt": "2026-11-23T12:00:00.000Z",
    }


def subscription(**changes: object) -> Subscription:
    values: dict[str, object] = {
        "id": "s1",
        "channel": Channel.WEBHOOK,
        "address": "https://x.example",
        "created_time": NOON,
        "secret": "whsec_c2VjcmV0",
    }
    return Subscription(**{**values, **changes})  # type: ignore[arg-type]


def test_a_subscription_without_labels_wants_every_image() -> None:
    assert subscription().wants(())


def test_a_subscription_matches_names_and_aliases_without_case() -> None:
    wants_cats = subscription(labels=("cat",), min_confidence=50.0)

    assert wants_cats.wants((label("Cat", 50),))
    assert wants_cats.wants((label("Feline", 99, "CAT"),))
    assert not wants_cats.wants((label("Cat", 49.9),))
    assert not wants_cats.wants((label("Dog", 99),))


def test_a_secret_is_neither_shown_nor_printed() -> None:
    secret = subscription(frequency=Frequency.EACH)

    assert "whsec" not in str(secret.to_json())
    assert "whsec" not in repr(secret)
