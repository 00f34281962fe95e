"""The contract of the ObjectStore port: one suite for every platform."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from lumitag.domain import new_key
from lumitag.errors import AlreadyUploaded, ImageNotFound, UploadMismatch
from lumitag.ports import ObjectStore
from tests.contracts.conftest import Stores

STRANGE_KEYS = [
    "",
    ".",
    "..",
    "../../../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "%2e%2e%2f",
    "nul\0nul",
    "\ud800",
    "😀" * 26,
    "0" * 25,
    "0" * 27,
    "Z" * 26,
    "z" * 26,
    "-" * 26,
]


def read(object_store: ObjectStore, key: str) -> bytes:
    with object_store.open(key) as content:
        return content.read()


def test_a_missing_key_is_not_found(stores: Stores) -> None:
    with pytest.raises(ImageNotFound):
        stores.object_store.open(new_key())


@pytest.mark.parametrize("key", STRANGE_KEYS)
def test_a_strange_key_is_not_found(stores: Stores, key: str) -> None:
    with pytest.raises(ImageNotFound):
        stores.object_store.open(key)


@pytest.mark.parametrize("key", STRANGE_KEYS)
def test_deleting_a_strange_key_is_no_error(stores: Stores, key: str) -> None:
    stores.object_store.delete(key)


def test_deleting_a_missing_key_is_no_error(stores: Stores) -> None:
    stores.object_store.delete(new_key())


def test_what_was_put_can_be_read(stores: Stores) -> None:
    stores.object_store.put(record := stores.accept(), io.BytesIO(b"cat"))

    assert read(stores.object_store, record.key) == b"cat"


def test_it_can_be_read_many_times_from_its_start(stores: Stores) -> None:
    stores.object_store.put(record := stores.accept(), io.BytesIO(b"cat"))

    assert [read(stores.object_store, record.key) for _ in range(3)] == [b"cat"] * 3


def test_a_large_image_comes_back_whole(stores: Stores) -> None:
    content = bytes(range(256)) * 3000
    stores.object_store.put(record := stores.accept(len(content)), io.BytesIO(content))

    assert read(stores.object_store, record.key) == content


def test_putting_announces_the_image_under_its_key(stores: Stores) -> None:
    event = stores.object_store.put(record := stores.accept(), io.BytesIO(b"cat"))

    assert stores.announced() == [event]
    assert (event.key, event.request_id, event.relabel) == (record.key, "request-1", False)


def test_putting_notes_time_and_sha256_in_the_record(stores: Stores) -> None:
    event = stores.object_store.put(record := stores.accept(), io.BytesIO(b"cat"))

    kept = stores.label_store.get(record.key)
    assert kept.upload_time == event.upload_time
    assert kept.sha256 == hashlib.sha256(b"cat").hexdigest()


def test_the_same_bytes_again_announce_nothing(stores: Stores) -> None:
    first = stores.object_store.put(record := stores.accept(), io.BytesIO(b"cat"))
    stores.clock.advance(5)
    second = stores.object_store.put(record, io.BytesIO(b"cat"))

    assert first == second
    assert stores.announced() == [first]


def test_other_bytes_are_refused_and_the_first_stay(stores: Stores) -> None:
    stores.object_store.put(record := stores.accept(), io.BytesIO(b"cat"))

    with pytest.raises(AlreadyUploaded):
        stores.object_store.put(record, io.BytesIO(b"dog"))
    assert read(stores.object_store, record.key) == b"cat"
    assert len(stores.announced()) == 1


def test_a_record_that_was_never_created_is_not_found(stores: Stores) -> None:
    record = stores.new_record()

    with pytest.raises(ImageNotFound):
        stores.object_store.put(record, io.BytesIO(b"cat"))
    with pytest.raises(ImageNotFound):
        stores.object_store.open(record.key)
    assert stores.announced() == []


def test_a_deleted_record_does_not_come_back_by_an_upload(stores: Stores) -> None:
    stores.label_store.delete((record := stores.accept()).key)

    with pytest.raises(ImageNotFound):
        stores.object_store.put(record, io.BytesIO(b"cat"))
    assert stores.announced() == []


@pytest.mark.parametrize("content", [b"", b"ca", b"cats"])
def test_another_size_than_announced_is_refused_and_nothing_is_kept(stores: Stores, content: bytes) -> None:
    record = stores.accept(size=3)

    with pytest.raises(UploadMismatch):
        stores.object_store.put(record, io.BytesIO(content))
    with pytest.raises(ImageNotFound):
        stores.object_store.open(record.key)
    assert stores.announced() == []


def test_another_sha256_than_announced_is_refused_and_nothing_is_kept(stores: Stores) -> None:
    record = stores.accept(sha256=hashlib.sha256(b"cat").hexdigest())

    with pytest.raises(UploadMismatch):
        stores.object_store.put(record, io.BytesIO(b"dog"))
    with pytest.raises(ImageNotFound):
        stores.object_store.open(record.key)
    assert stores.announced() == []


def test_a_refused_upload_can_be_sent_again(stores: Stores) -> None:
    record = stores.accept(sha256=hashlib.sha256(b"cat").hexdigest())
    with pytest.raises(UploadMismatch):
        stores.object_store.put(record, io.BytesIO(b"dog"))

    stores.object_store.put(record, io.BytesIO(b"cat"))

    assert read(stores.object_store, record.key) == b"cat"
    assert len(stores.announced()) == 1


def test_deleted_bytes_are_gone(stores: Stores) -> None:
    stores.object_store.put(record := stores.accept(), io.BytesIO(b"cat"))
    stores.object_store.delete(record.key)

    with pytest.raises(ImageNotFound):
        stores.object_store.open(record.key)


def test_deleting_twice_is_no_error(stores: Stores) -> None:
    stores.object_store.put(record := stores.accept(), io.BytesIO(b"cat"))
    stores.object_store.delete(record.key)
    stores.object_store.delete(record.key)


def test_images_do_not_touch_each_other(stores: Stores) -> None:
    cat, dog = stores.accept(), stores.accept()
    stores.object_store.put(cat, io.BytesIO(b"cat"))
    stores.object_store.put(dog, io.BytesIO(b"dog"))
    stores.object_store.delete(cat.key)

    assert read(stores.object_store, dog.key) == b"dog"


def test_fifty_uploads_of_one_image_at_once_announce_it_once(stores: Stores) -> None:
    record = stores.accept()

    with ThreadPoolExecutor(50) as threads:
        events = list(threads.map(lambda _: stores.object_store.put(record, io.BytesIO(b"cat")), range(50)))

    assert stores.announced() == [events[0]]
    assert set(events) == {events[0]}


def test_of_different_uploads_of_one_image_at_once_exactly_one_wins(stores: Stores) -> None:
    record = stores.accept()

    with ThreadPoolExecutor(20) as threads:
        outcomes = list(threads.map(_put_outcome(stores, record.key), range(20)))

    [winner] = [content for content in outcomes if content is not None]
    assert read(stores.object_store, record.key) == winner
    assert stores.label_store.get(record.key).sha256 == hashlib.sha256(winner).hexdigest()
    assert len(stores.announced()) == 1


def test_a_grant_is_for_the_image_and_ends(stores: Stores) -> None:
    grant = stores.object_store.upload_grant(record := stores.accept(), "http://127.0.0.1:8000")

    assert grant.key == record.key
    assert grant.method in {"PUT", "POST"}
    assert record.key in grant.upload_url + str(grant.fields)
    assert stores.clock.now() < grant.expires_at <= stores.clock.now() + timedelta(hours=1)


def _put_outcome(stores: Stores, key: str) -> Callable[[int], bytes | None]:
    record = stores.label_store.get(key)

    def put(number: int) -> bytes | None:
        content = b"%03d" % number
        try:
            stores.object_store.put(record, io.BytesIO(content))
        except AlreadyUploaded:
            return None
        return content

    return put
