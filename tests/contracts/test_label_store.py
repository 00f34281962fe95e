"""The contract of the LabelStore port: one suite for every platform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lumitag.domain import (
    BoundingBox,
    Channel,
    DominantColor,
    Frequency,
    ImageProperties,
    ImageQuery,
    ImageRecord,
    ImageStatus,
    Instance,
    Label,
    LabelCount,
    Recognition,
    Subscription,
    new_key,
    without_colors,
)
from lumitag.errors import (
    DamagedImage,
    ImageNotFound,
    InvalidCursor,
    RecognizerTimedOut,
    SubscriptionNotFound,
)
from lumitag.ports import LabelStore
from tests.contracts.conftest import Stores
from tests.contracts.test_object_store import STRANGE_KEYS
from tests.fakes import PROPERTIES, SPOT, matches

DOG = Label(
    "Dog",
    "n02084071",
    98.3,
    ("Animal", "Mammal"),
    ("Canine", "Hund"),
    ("Animals and Pets",),
    (
        Instance(BoundingBox(0.1, 0.2, 0.30000000000000004, 0.4), 97.1),
        Instance(BoundingBox(0.5, 0.5, 0.5, 0.5), 55.5),
    ),
)
CAT = Label("Cat", "n02121620", 75.0, ("Animal", "Mammal"), (), ("Animals and Pets",))
SKY = Label("Sky", "lumitag:sky", 31.25)
STRASSE = Label("Straße", "lumitag:street", 88.0, aliases=("Street",))

MANY_EXAMPLES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def recognition(*labels: Label, model_version: str = "v1", recognizer: str = "embedded") -> Recognition:
    return Recognition(labels, 4000, 3000, recognizer, model_version)


def labelled(stores: Stores, *labels: Label) -> str:
    """Return the key of a new recognized image."""
    stores.label_store.save((record := stores.uploaded()).key, recognition(*labels))
    return record.key


def subscribed(stores: Stores, **facts: Any) -> Subscription:
    subscription = replace(subscription_named("you"), **facts)
    stores.label_store.subscribe(subscription)
    return subscription


def subscription_named(name: str, created_time: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> Subscription:
    return Subscription(name, Channel.MAIL, f"{name}@example.com", created_time, secret=f"whsec_{name}")


def found(label_store: LabelStore, **conditions: Any) -> list[str]:
    """Return the keys that a search shows on its first page."""
    return [record.key for record in label_store.search(replace(ImageQuery(), **conditions)).items]


def found_by_page(label_store: LabelStore, query: ImageQuery) -> list[ImageRecord]:
    pages = [label_store.search(query)]
    while (cursor := pages[-1].next_cursor) is not None:
        pages.append(label_store.search(replace(query, cursor=cursor)))
    assert all(len(page.items) == query.limit for page in pages[:-1])
    return [record for page in pages for record in page.items]


# Image properties


def colored(stores: Stores) -> str:
    """Return the key of a new image that was recognized with properties."""
    stores.label_store.save((record := stores.uploaded()).key, replace(recognition(DOG, SPOT), properties=PROPERTIES))
    return record.key


def test_properties_and_colours_come_back_exactly(stores: Stores) -> None:
    record = stores.label_store.get(colored(stores))

    assert record.properties == PROPERTIES
    assert record.labels == (DOG, SPOT)


@pytest.mark.parametrize(
    "properties", [replace(PROPERTIES, foreground=None), replace(PROPERTIES, background=None, dominant_colors=()), None]
)
def test_properties_may_be_known_in_part(stores: Stores, properties: ImageProperties | None) -> None:
    key = stores.uploaded().key
    stores.label_store.save(key, replace(recognition(SPOT), properties=properties))

    assert stores.label_store.get(key).properties == properties
    assert stores.label_store.get(key).labels == (SPOT,)


def test_a_search_carries_properties_only_where_they_are_asked_for(stores: Stores) -> None:
    record = stores.label_store.get(colored(stores))

    assert stores.label_store.search(ImageQuery()).items == (record.without_properties(),)
    assert stores.label_store.search(ImageQuery(with_properties=True)).items == (record,)


def test_whoever_saves_or_is_told_gets_no_properties(stores: Stores) -> None:
    subscribed(stores)
    key = stores.uploaded().key
    saved = stores.label_store.save(key, replace(recognition(DOG, SPOT), properties=PROPERTIES))
    [message] = stores.outbox("you").receive(1, 0)

    assert saved == stores.label_store.get(key).without_properties()
    assert message.event.image.labels == without_colors((DOG, SPOT))


def test_a_later_recognition_without_properties_takes_them_away(stores: Stores) -> None:
    key = colored(stores)
    stores.label_store.save(key, recognition(DOG, model_version="v2"))

    assert stores.label_store.get(key).properties is None


def test_a_record_that_is_created_with_properties_keeps_them(stores: Stores) -> None:
    record = replace(stores.new_record(), properties=PROPERTIES, labels=(SPOT,), status=ImageStatus.RECOGNIZED)
    stores.label_store.create(record)

    assert stores.label_store.get(record.key) == record


# Records


def test_a_missing_key_is_not_found(stores: Stores) -> None:
    with pytest.raises(ImageNotFound):
        stores.label_store.get(new_key())


@pytest.mark.parametrize("key", STRANGE_KEYS)
def test_a_strange_key_is_not_found(stores: Stores, key: str) -> None:
    with pytest.raises(ImageNotFound):
        stores.label_store.get(key)
    with pytest.raises(ImageNotFound):
        stores.label_store.delete(key)


@pytest.mark.parametrize("key", STRANGE_KEYS)
def test_results_under_a_strange_key_stay_away(stores: Stores, key: str) -> None:
    assert stores.label_store.save(key, recognition(DOG)) is None
    assert stores.label_store.save_failure(key, DamagedImage()) is None


def test_a_record_comes_back_as_it_was_created(stores: Stores) -> None:
    record = replace(stores.new_record(sha256="ab" * 32), file_name="Fêtes de fin d'année ☃ \x00.jpg")
    stores.label_store.create(record)

    assert stores.label_store.get(record.key) == record


def test_creating_twice_keeps_the_first(stores: Stores) -> None:
    record = stores.accept()
    stores.label_store.create(replace(record, file_name="second.jpg"))

    assert stores.label_store.get(record.key) == record


# Results


def test_saved_labels_come_back_exactly(stores: Stores) -> None:
    key = labelled(stores, DOG, CAT, SKY, STRASSE)

    assert stores.label_store.get(key).labels == (DOG, CAT, SKY, STRASSE)


def test_saving_returns_the_record_as_it_now_is(stores: Stores) -> None:
    record = stores.uploaded()
    stores.clock.advance(1)
    saved = stores.label_store.save(record.key, recognition(DOG))

    assert saved == stores.label_store.get(record.key)
    assert saved == replace(
        record,
        status=ImageStatus.RECOGNIZED,
        labels=(DOG,),
        width=4000,
        height=3000,
        recognizer="embedded",
        model_version="v1",
        recognized_time=stores.clock.now(),
    )


def test_an_image_without_labels_is_recognized_too(stores: Stores) -> None:
    assert stores.label_store.get(labelled(stores)).status is ImageStatus.RECOGNIZED


def test_a_later_result_replaces_the_labels(stores: Stores) -> None:
    key = labelled(stores, DOG, CAT)
    stores.label_store.save(key, recognition(SKY, model_version="v2"))

    assert stores.label_store.get(key).labels == (SKY,)
    assert found(stores.label_store, all_of=("Dog",)) == []
    assert stores.label_store.label_counts() == [LabelCount("Sky", 1)]


def test_the_same_label_of_another_model_is_kept_as_each_model_says(stores: Stores) -> None:
    older, newer = labelled(stores, DOG), labelled(stores, replace(DOG, parents=("Animal",), aliases=()))

    assert [stores.label_store.get(key).labels[0].parents for key in (older, newer)] == [DOG.parents, ("Animal",)]
    assert found(stores.label_store, all_of=("dog",)) == [newer, older]
    assert found(stores.label_store, all_of=("canine",)) == [older]
    assert stores.label_store.label_counts() == [LabelCount("Dog", 2)]


def test_a_result_for_a_missing_record_stays_away(stores: Stores) -> None:
    assert stores.label_store.save(new_key(), recognition(DOG)) is None
    assert found(stores.label_store) == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DamagedImage("Half of it is missing."), ImageStatus.REJECTED),
        (RecognizerTimedOut("It took too long."), ImageStatus.FAILED),
        (ValueError("It took too long."), ImageStatus.FAILED),
        (KeyError(), ImageStatus.FAILED),
    ],
)
def test_a_failure_is_kept_with_a_reason(stores: Stores, error: Exception, status: ImageStatus) -> None:
    record = stores.uploaded()
    saved = stores.label_store.save_failure(record.key, error)

    assert saved == stores.label_store.get(record.key)
    assert saved == replace(record, status=status, reason=str(error) or "KeyError")


def test_a_late_failure_leaves_a_recognized_image_alone(stores: Stores) -> None:
    key = labelled(stores, DOG)

    assert stores.label_store.save_failure(key, DamagedImage()) is None
    assert stores.label_store.get(key).status is ImageStatus.RECOGNIZED


def test_a_failure_of_a_missing_record_stays_away(stores: Stores) -> None:
    assert stores.label_store.save_failure(new_key(), DamagedImage()) is None


def test_a_success_after_a_failure_counts(stores: Stores) -> None:
    record = stores.uploaded()
    stores.label_store.save_failure(record.key, RecognizerTimedOut())
    saved = stores.label_store.save(record.key, recognition(DOG))

    assert saved is not None
    assert (saved.status, saved.reason) == (ImageStatus.RECOGNIZED, None)


# Deletion


def test_deleting_a_missing_key_is_not_found(stores: Stores) -> None:
    with pytest.raises(ImageNotFound):
        stores.label_store.delete(new_key())


def test_deleting_twice_is_not_found(stores: Stores) -> None:
    stores.label_store.delete(key := labelled(stores, DOG))

    with pytest.raises(ImageNotFound):
        stores.label_store.delete(key)


def test_a_deleted_image_is_nowhere(stores: Stores) -> None:
    key, other = labelled(stores, DOG), labelled(stores, DOG, CAT)
    stores.label_store.delete(key)

    with pytest.raises(ImageNotFound):
        stores.label_store.get(key)
    assert found(stores.label_store) == found(stores.label_store, all_of=("dog",)) == [other]
    assert stores.label_store.label_counts() == [LabelCount("Cat", 1), LabelCount("Dog", 1)]


def test_a_deleted_image_does_not_come_back(stores: Stores) -> None:
    subscription = subscribed(stores)
    record = stores.uploaded()
    stores.label_store.delete(record.key)

    stores.label_store.create(record)
    assert stores.label_store.save(record.key, recognition(DOG)) is None
    assert stores.label_store.save_failure(record.key, DamagedImage()) is None
    assert found(stores.label_store) == []
    assert stores.told(subscription.id) == []


def test_nobody_is_told_about_a_deleted_image(stores: Stores) -> None:
    subscription = subscribed(stores)
    deleted, kept = labelled(stores, DOG), labelled(stores, DOG)
    stores.label_store.delete(deleted)

    assert [due.key for due in stores.told(subscription.id)] == [kept]


# Who is told


def test_a_subscriber_is_told_about_a_recognized_image(stores: Stores) -> None:
    subscription = subscribed(stores)
    key = labelled(stores, DOG)

    [due] = stores.told(subscription.id)
    assert (due.subscription_id, due.channel, due.key) == (subscription.id, Channel.MAIL, key)
    assert (due.image.labels, due.image.model_version, due.request_id) == ((DOG,), "v1", "request-1")


def test_the_same_result_twice_is_told_once(stores: Stores) -> None:
    subscription = subscribed(stores)
    key = labelled(stores, DOG)
    stores.label_store.save(key, recognition(DOG))

    assert len(stores.told(subscription.id)) == 1


@pytest.mark.parametrize("other", [{"model_version": "v2"}, {"recognizer": "rekognition", "model_version": "v2"}])
def test_the_result_of_another_model_is_told_again(stores: Stores, other: dict[str, str]) -> None:
    subscription = subscribed(stores)
    key = labelled(stores, DOG)
    stores.label_store.save(key, recognition(DOG, **other))

    first, second = stores.told(subscription.id)
    assert first.id != second.id


@pytest.mark.parametrize(
    ("wanted", "is_told"),
    [((), True), (("dog",), True), (("HUND",), True), (("Cat", "Dog"), True), (("Cat",), False), (("Mammal",), False)],
)
def test_a_subscriber_is_told_about_wanted_labels_only(stores: Stores, wanted: tuple[str, ...], is_told: bool) -> None:
    subscription = subscribed(stores, labels=wanted)
    labelled(stores, DOG)

    assert bool(stores.told(subscription.id)) is is_told


def test_a_label_below_the_subscribers_confidence_does_not_count(stores: Stores) -> None:
    subscription = subscribed(stores, labels=("Dog",), min_confidence=98.4)
    labelled(stores, DOG)

    assert stores.told(subscription.id) == []


def test_nobody_is_told_about_a_failure(stores: Stores) -> None:
    subscription = subscribed(stores)
    stores.label_store.save_failure(stores.uploaded().key, DamagedImage())

    assert stores.told(subscription.id) == []


@pytest.mark.parametrize(
    ("frequency", "due_time"),
    [
        (Frequency.HOURLY, datetime(2026, 3, 1, 13, tzinfo=UTC)),
        (Frequency.DAILY, datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_a_digest_waits_for_the_next_full_hour_or_day(stores: Stores, frequency: Frequency, due_time: datetime) -> None:
    subscription = subscribed(stores, frequency=frequency)
    labelled(stores, DOG)
    labelled(stores, CAT)

    stores.clock.advance((due_time - stores.clock.now()).total_seconds() - 1)
    assert stores.told(subscription.id) == []
    stores.clock.advance(2)
    assert len(stores.told(subscription.id)) == 2


# Subscriptions


def test_a_missing_subscription_is_not_found(stores: Stores) -> None:
    with pytest.raises(SubscriptionNotFound):
        stores.label_store.subscription("nobody")
    with pytest.raises(SubscriptionNotFound):
        stores.label_store.unsubscribe("nobody")


def test_a_subscription_comes_back_as_it_was_made(stores: Stores) -> None:
    subscription = subscribed(
        stores, channel=Channel.WEBHOOK, labels=("Dog", "Straße"), min_confidence=66.6, frequency=Frequency.DAILY
    )

    assert stores.label_store.subscription(subscription.id) == subscription


def test_subscriptions_are_listed_oldest_first(stores: Stores) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    newest, oldest, middle = (subscription_named(f"{day}", moment + timedelta(days=day)) for day in (3, 1, 2))
    for subscription in (newest, oldest, middle):
        stores.label_store.subscribe(subscription)

    assert stores.label_store.subscriptions() == [oldest, middle, newest]


def test_unsubscribing_forgets_what_waits(stores: Stores) -> None:
    gone, kept = subscribed(stores), subscribed(stores, id="me")
    labelled(stores, DOG)
    stores.label_store.unsubscribe(gone.id)

    assert stores.label_store.subscriptions() == [kept]
    assert stores.told(gone.id) == []
    assert len(stores.told(kept.id)) == 1


def test_unsubscribing_twice_is_not_found(stores: Stores) -> None:
    subscription = subscribed(stores)
    stores.label_store.unsubscribe(subscription.id)

    with pytest.raises(SubscriptionNotFound):
        stores.label_store.unsubscribe(subscription.id)


# Search


def test_an_empty_store_finds_nothing(stores: Stores) -> None:
    page = stores.label_store.search(ImageQuery())

    assert (page.items, page.next_cursor) == ((), None)


def test_all_images_are_found_newest_first(stores: Stores) -> None:
    keys = [stores.uploaded().key for _ in range(5)]

    assert found(stores.label_store) == keys[::-1]


def test_an_image_that_was_never_uploaded_is_not_shown(stores: Stores) -> None:
    stores.accept()

    assert found(stores.label_store) == []
    assert found(stores.label_store, status=ImageStatus.PENDING) == []


def test_found_records_carry_all_their_labels(stores: Stores) -> None:
    key = labelled(stores, DOG, SKY)

    assert stores.label_store.search(ImageQuery(all_of=("Sky",))).items == (stores.label_store.get(key),)


@pytest.mark.parametrize("name", ["Dog", "dog", "DOG", "canine", "HUND"])
def test_names_and_aliases_find_without_case(stores: Stores, name: str) -> None:
    key = labelled(stores, DOG)

    assert found(stores.label_store, all_of=(name,)) == [key]
    assert found(stores.label_store, any_of=(name,)) == [key]
    assert found(stores.label_store, none_of=(name,)) == []


@pytest.mark.parametrize("name", ["straße", "STRASSE", "street"])
def test_case_is_folded_as_unicode_says(stores: Stores, name: str) -> None:
    key = labelled(stores, STRASSE)

    assert found(stores.label_store, all_of=(name,)) == [key]


def test_all_labels_must_be_there(stores: Stores) -> None:
    labelled(stores, DOG)
    both = labelled(stores, CAT, DOG)
    labelled(stores, CAT)

    assert found(stores.label_store, all_of=("Dog", "Cat")) == [both]


def test_one_of_any_labels_must_be_there(stores: Stores) -> None:
    dog, both, cat = labelled(stores, DOG), labelled(stores, CAT, DOG), labelled(stores, CAT)
    labelled(stores, SKY)

    assert found(stores.label_store, any_of=("Dog", "Cat")) == [cat, both, dog]


def test_unwanted_labels_must_not_be_there(stores: Stores) -> None:
    labelled(stores, DOG)
    cat, pending = labelled(stores, CAT), stores.uploaded().key

    assert found(stores.label_store, none_of=("Dog",)) == [pending, cat]


def test_the_three_lists_work_together(stores: Stores) -> None:
    labelled(stores, DOG, CAT, SKY)
    wanted = labelled(stores, DOG, CAT)
    labelled(stores, DOG)

    assert found(stores.label_store, all_of=("Dog",), any_of=("Cat", "Straße"), none_of=("Sky",)) == [wanted]


@pytest.mark.parametrize("name", ["Unicorn", "", "Do", "Dog ", "%", "'; --", "\ud800", "Mammal"])
def test_an_unknown_label_is_on_no_image(stores: Stores, name: str) -> None:
    key = labelled(stores, DOG)

    assert found(stores.label_store, all_of=(name,)) == []
    assert found(stores.label_store, any_of=(name,)) == []
    assert found(stores.label_store, all_of=("Dog", name)) == []
    assert found(stores.label_store, any_of=("Dog", name)) == [key]
    assert found(stores.label_store, none_of=(name,)) == [key]


@pytest.mark.parametrize(("min_confidence", "is_found"), [(0.0, True), (98.3, True), (98.31, False), (100.0, False)])
def test_a_label_below_the_asked_confidence_does_not_count(
    stores: Stores, min_confidence: float, is_found: bool
) -> None:
    labelled(stores, DOG)

    assert bool(found(stores.label_store, all_of=("Dog",), min_confidence=min_confidence)) is is_found
    assert bool(found(stores.label_store, none_of=("Dog",), min_confidence=min_confidence)) is not is_found


def test_images_are_found_by_status(stores: Stores) -> None:
    recognized, pending, rejected, failed = labelled(stores, DOG), *(stores.uploaded().key for _ in range(3))
    stores.label_store.save_failure(rejected, DamagedImage())
    stores.label_store.save_failure(failed, RecognizerTimedOut())

    assert found(stores.label_store, status=ImageStatus.RECOGNIZED) == [recognized]
    assert found(stores.label_store, status=ImageStatus.PENDING) == [pending]
    assert found(stores.label_store, status=ImageStatus.REJECTED) == [rejected]
    assert found(stores.label_store, status=ImageStatus.FAILED) == [failed]
    assert found(stores.label_store, status=ImageStatus.FAILED, all_of=("Dog",)) == []
    assert found(stores.label_store, status=ImageStatus.FAILED, none_of=("Dog",)) == [failed]


def test_after_includes_its_moment_and_before_does_not(stores: Stores) -> None:
    moment = datetime(2026, 5, 5, 12, tzinfo=UTC)
    times = [moment + timedelta(milliseconds=number) for number in (-1, 0, 1)]
    earlier, then, later = (stores.uploaded(time).key for time in times)

    assert found(stores.label_store, after=moment) == [later, then]
    assert found(stores.label_store, before=moment) == [earlier]
    assert found(stores.label_store, after=moment, before=times[2]) == [then]
    assert found(stores.label_store, after=moment + timedelta(microseconds=1)) == [later]
    assert found(stores.label_store, before=moment + timedelta(microseconds=1)) == [then, earlier]


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_any_time_can_be_asked_for(stores: Stores, year: int) -> None:
    stores.uploaded()
    moment = datetime(year, 12, 31, tzinfo=UTC)

    assert bool(found(stores.label_store, after=moment)) is (year < 2000)
    assert bool(found(stores.label_store, before=moment)) is (year > 2000)


def test_pages_go_on_where_the_last_one_ended_though_images_come_and_go(stores: Stores) -> None:
    keys = [labelled(stores, DOG) for _ in range(5)]
    page = stores.label_store.search(ImageQuery(all_of=("Dog",), limit=2))
    labelled(stores, DOG)
    stores.label_store.delete(keys[3])

    rest = stores.label_store.search(ImageQuery(all_of=("Dog",), limit=2, cursor=page.next_cursor))
    assert [record.key for record in rest.items] == [keys[2], keys[1]]


def test_a_full_last_page_says_that_it_is_the_last(stores: Stores) -> None:
    for _ in range(2):
        stores.uploaded()

    assert stores.label_store.search(ImageQuery(limit=2)).next_cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "😀", "\ud800", "ZGVhZDoxOjI", "a" * 10_000])
def test_a_strange_cursor_is_refused(stores: Stores, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        stores.label_store.search(ImageQuery(cursor=cursor))


# Label counts


def test_labels_are_counted_most_frequent_first(stores: Stores) -> None:
    labelled(stores, DOG, CAT)
    labelled(stores, DOG, replace(DOG, concept="another"))
    labelled(stores, SKY)

    counts = [LabelCount("Dog", 2), LabelCount("Cat", 1), LabelCount("Sky", 1)]
    assert stores.label_store.label_counts() == counts
    assert stores.label_store.label_counts(limit=2) == counts[:2]


@pytest.mark.parametrize(
    ("prefix", "names"),
    [("d", ["Dog"]), ("DOG", ["Dog"]), ("dogs", []), ("strass", ["Straße"]), ("%", []), ("\ud800", [])],
)
def test_labels_are_counted_by_prefix(stores: Stores, prefix: str, names: list[str]) -> None:
    labelled(stores, DOG, CAT, STRASSE)

    assert [count.name for count in stores.label_store.label_counts(prefix)] == names


# Anything

NAMES = ["Ant", "Bee", "Cat", "Dog"]
LABELS = st.builds(
    Label,
    name=st.sampled_from(NAMES),
    concept=st.sampled_from(["c1", "c2"]),
    confidence=st.sampled_from([30.0, 50.0, 80.0]),
    aliases=st.lists(st.sampled_from(["Ameise", "bee", "Pet"]), unique=True, max_size=2).map(tuple),
)
IMAGES = st.lists(
    st.tuples(
        st.sampled_from(ImageStatus), st.booleans(), st.lists(LABELS, max_size=4, unique_by=lambda one: one.name)
    ),
    max_size=12,
)
SOME_NAMES = st.lists(st.sampled_from([*NAMES, "pet", "Ameise", "Unicorn"]), max_size=2).map(tuple)
MOMENT = datetime(2026, 3, 1, tzinfo=UTC)
MOMENTS = st.none() | st.integers(0, 13).map(lambda number: MOMENT + timedelta(minutes=number))
QUERIES = st.builds(
    ImageQuery,
    all_of=SOME_NAMES,
    any_of=SOME_NAMES,
    none_of=SOME_NAMES,
    min_confidence=st.sampled_from([0.0, 50.0, 80.1]),
    status=st.none() | st.sampled_from(ImageStatus),
    after=MOMENTS,
    before=MOMENTS,
    limit=st.integers(1, 5),
)


@MANY_EXAMPLES
@given(images=IMAGES, queries=st.lists(QUERIES, min_size=1, max_size=15))
def test_a_search_finds_exactly_what_its_words_say_page_by_page(
    new_stores: Callable[[], Stores],
    images: list[tuple[ImageStatus, bool, list[Label]]],
    queries: list[ImageQuery],
) -> None:
    stores = new_stores()
    for minute, (status, is_uploaded, labels) in enumerate(images):
        keep(stores, MOMENT + timedelta(minutes=minute), status, is_uploaded, labels)
    newest_first = found_by_page(stores.label_store, ImageQuery(limit=1000))

    assert len(newest_first) == sum(is_uploaded for _, is_uploaded, _ in images)
    for query in queries:
        expected = [record for record in newest_first if matches(record, query)]
        assert found_by_page(stores.label_store, query) == expected


def keep(stores: Stores, moment: datetime, status: ImageStatus, is_uploaded: bool, labels: list[Label]) -> None:
    record = replace(stores.new_record(upload_time=moment), upload_time=moment if is_uploaded else None)
    stores.label_store.create(record)
    match status:
        case ImageStatus.RECOGNIZED:
            stores.label_store.save(record.key, recognition(*labels))
        case ImageStatus.REJECTED:
            stores.label_store.save_failure(record.key, DamagedImage())
        case ImageStatus.FAILED:
            stores.label_store.save_failure(record.key, RecognizerTimedOut())


CONFIDENCES = st.floats(0, 100)
RATIOS = st.floats(0, 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
CHANNELS = st.integers(0, 255)
COLORS = st.lists(st.builds(DominantColor, CHANNELS, CHANNELS, CHANNELS, CONFIDENCES), max_size=3).map(tuple)
ANY_LABELS = st.builds(
    Label,
    name=TEXTS,
    concept=TEXTS,
    confidence=CONFIDENCES,
    parents=st.lists(TEXTS, max_size=3).map(tuple),
    aliases=st.lists(TEXTS, max_size=3).map(tuple),
    categories=st.lists(TEXTS, max_size=3).map(tuple),
    instances=st.lists(
        st.builds(Instance, st.builds(BoundingBox, RATIOS, RATIOS, RATIOS, RATIOS), CONFIDENCES, COLORS), max_size=3
    ).map(tuple),
)


@MANY_EXAMPLES
@given(labels=st.lists(ANY_LABELS, max_size=5).map(tuple))
def test_any_labels_come_back_exactly(stores: Stores, labels: tuple[Label, ...]) -> None:
    key = labelled(stores, *labels)

    assert stores.label_store.get(key).labels == labels
    assert all(found(stores.label_store, all_of=(label.name,), limit=1) == [key] for label in labels)
    stores.label_store.delete(key)
    assert stores.label_store.label_counts() == []
