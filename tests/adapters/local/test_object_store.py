"""What the local object store promises beyond the contract: files, order of flushes, grants, housekeeping."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lumitag.adapters.local import object_store
from lumitag.adapters.local._database import Database
from lumitag.adapters.local.event_queue import SQLiteEventQueue
from lumitag.adapters.local.label_store import SQLiteLabelStore
from lumitag.adapters.local.object_store import FileObjectStore, Repairs
from lumitag.domain import ImageRecord, UploadGrant, new_key
from lumitag.errors import (
    AlreadyUploaded,
    ImageNotFound,
    StoreFull,
    StoreUnavailable,
    UploadExpired,
    UploadForbidden,
    UploadMismatch,
    UploadTooLarge,
)
from lumitag.events import ImageUploaded
from tests.contracts import test_object_store as contract
from tests.contracts.conftest import Clock, Stores, outboxes_on

BASE_URL = "http://127.0.0.1:8000"
MAX_BYTES = 1000
LIFETIME_S = 600


class Usage(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


@dataclass
class Room:
    """The object store and what it stands on."""

    root: Path
    store: FileObjectStore
    database: Database
    labels: SQLiteLabelStore
    queue: SQLiteEventQueue[ImageUploaded]
    clock: Clock
    announcements: list[ImageUploaded] = field(default_factory=list)
    refusal: BaseException | None = None

    def accept(self, size: int = 3, sha256: str | None = None) -> ImageRecord:
        record = ImageRecord(new_key(), "cat.jpg", "image/jpeg", size, self.clock.now(), sha256)
        self.labels.create(record)
        return record

    def put(self, content: bytes = b"cat") -> str:
        self.store.put(record := self.accept(len(content)), io.BytesIO(content))
        return record.key

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if self._is_stored(path))

    def _is_stored(self, path: Path) -> bool:
        return path.is_file() and not path.name.startswith("test.sqlite3")

    def announce(self, connection: sqlite3.Connection, event: ImageUploaded) -> None:
        self.queue.enqueue(connection, [event])
        if self.refusal is not None:
            raise self.refusal
        self.announcements.append(event)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    clock = Clock()
    with closing(Database(tmp_path / "test.sqlite3")) as database:
        queue = SQLiteEventQueue(
            database, "images", ImageUploaded.from_json, visibility_timeout_s=30, max_receive_count=3, clock=clock.now
        )
        labels = SQLiteLabelStore(database, outboxes_on(database, clock), clock=clock.now)
        store = FileObjectStore(
            tmp_path,
            database,
            lambda connection, event: built.announce(connection, event),  # noqa: PLW0108 - it is built below
            signing_key=b"k" * 32,
            max_bytes=MAX_BYTES,
            min_free_bytes=0,
            upload_lifetime_s=LIFETIME_S,
            clock=clock.now,
        )
        built = Room(tmp_path, store, database, labels, queue, clock)
        yield built


def place_of(key: str) -> str:
    return f"objects/{key[-2:]}/{key}"


def fail(number: int) -> Callable[..., Any]:
    def raise_it(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return raise_it


# Files


def test_an_image_is_one_file_that_only_the_owner_can_read(room: Room) -> None:
    key = room.put(b"cat")

    assert room.files() == [place_of(key)]
    assert (room.root / place_of(key)).read_bytes() == b"cat"
    assert stat.S_IMODE((room.root / place_of(key)).stat().st_mode) == 0o600
    assert stat.S_IMODE((room.root / place_of(key)).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"ca", b"cats"])
def test_a_refused_upload_leaves_no_file(room: Room, content: bytes) -> None:
    with pytest.raises(UploadMismatch):
        room.store.put(room.accept(), io.BytesIO(content))
    assert room.files() == []


def test_a_repeated_upload_leaves_no_second_file(room: Room) -> None:
    key = room.put(b"cat")
    with pytest.raises(AlreadyUploaded):
        room.store.put(room.labels.get(key), io.BytesIO(b"dog"))
    room.store.put(room.labels.get(key), io.BytesIO(b"cat"))

    assert room.files() == [place_of(key)]


def test_a_planted_link_is_not_followed(room: Room, tmp_path: Path) -> None:
    key = room.put()
    (tmp_path / "secret").write_bytes(b"secret")
    (room.root / place_of(key)).unlink()
    (room.root / place_of(key)).symlink_to(tmp_path / "secret")

    with pytest.raises(ImageNotFound):
        room.store.open(key)


@pytest.mark.parametrize("plant", [lambda path: path.mkdir(), os.mkfifo])
def test_only_files_are_images(room: Room, plant: Callable[[Path], None]) -> None:
    key = room.put()
    (room.root / place_of(key)).unlink()
    plant(room.root / place_of(key))

    with pytest.raises(ImageNotFound):
        room.store.open(key)


def test_stored_keys_are_listed(room: Room) -> None:
    keys = {room.put(), room.put()}
    (room.root / "objects" / "ab").mkdir(exist_ok=True)
    (room.root / "objects" / "ab" / ".DS_Store").touch()

    assert set(room.store.keys()) == keys


# Durability


def steps_of_an_upload(room: Room, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what one upload does to the disk, in order."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def kind_of(descriptor: int) -> str:
        return "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"

    def record_fsync(descriptor: int) -> None:
        steps.append(f"flush {kind_of(descriptor)}")
        fsync(descriptor)

    def record_replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(path, target)

    key = room.put()
    record = ImageRecord(new_key()[:-2] + key[-2:], "", "image/jpeg", 3, room.clock.now())  # in a folder that is there
    room.labels.create(record)
    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_replace)
    room.database._connection.set_trace_callback(lambda text: steps.append("commit") if text == "COMMIT" else None)
    room.store.put(record, io.BytesIO(b"cat"))
    return steps


def test_an_upload_is_flushed_before_it_is_renamed_and_again_before_it_is_acknowledged(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert steps_of_an_upload(room, monkeypatch) == ["flush file", "rename", "flush folder", "commit"]


def test_that_test_would_notice_a_missing_flush(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.store._files, "flush", lambda _: None)

    assert steps_of_an_upload(room, monkeypatch) == ["rename", "commit"]


def test_a_new_folder_is_flushed_into_its_parent(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    fsync = os.fsync

    def record_fsync(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record_fsync)
    key = room.put()
    assert flushed[1:] == ["objects", key[-2:]]


class Crash(BaseException):
    """The end of the process, as far as a transaction can tell."""


def test_record_and_announcement_are_stored_together(room: Room) -> None:
    room.refusal = Crash()
    with pytest.raises(Crash):
        room.store.put(record := room.accept(), io.BytesIO(b"cat"))

    assert room.labels.get(record.key).upload_time is None
    assert room.queue.depth() == 0


def test_that_test_would_notice_an_announcement_in_a_second_transaction(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: list[ImageUploaded] = []
    monkeypatch.setattr(room.store, "_announce", lambda _, event: later.append(event))

    room.store.put(record := room.accept(), io.BytesIO(b"cat"))  # here such a mutant would crash
    assert room.labels.get(record.key).upload_time is not None
    assert room.queue.depth() == 0


def test_the_contract_notices_a_store_that_does_not_look_what_is_there(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = Stores(room.store, room.queue, room.labels, outboxes_on(room.database, room.clock).outbox, room.clock)
    monkeypatch.setattr(object_store, "_find_upload", lambda *_: None)

    for promise in (
        contract.test_the_same_bytes_again_announce_nothing,
        contract.test_fifty_uploads_of_one_image_at_once_announce_it_once,
    ):
        with pytest.raises(AssertionError):
            promise(stores)


@pytest.mark.parametrize("content", [b"cat", b"dog"])
def test_after_a_crash_between_file_and_record_the_upload_is_simply_sent_again(room: Room, content: bytes) -> None:
    """Whatever was in place was never acknowledged, so that the next upload wins, even with other bytes."""
    record = room.accept()
    room.refusal = Crash()
    with pytest.raises(Crash):
        room.store.put(record, io.BytesIO(b"cat"))
    assert room.files() == [place_of(record.key)]

    room.refusal = None
    event = room.store.put(record, io.BytesIO(content))
    assert room.announcements == [event]
    with room.store.open(record.key) as file:
        assert file.read() == content


def test_an_image_deleted_while_it_arrives_leaves_nothing(room: Room) -> None:
    with room.store.receive((record := room.accept()).key) as upload:
        upload.write(b"cat")
        room.labels.delete(record.key)
        with pytest.raises(ImageNotFound):
            upload.commit()
    assert room.files() == []


def test_an_image_deleted_between_file_and_record_leaves_nothing(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    record = room.accept()
    move_in = room.store._files.move_in

    def move_in_and_delete(draft: Path, key: str) -> None:
        move_in(draft, key)
        room.labels.delete(key)

    monkeypatch.setattr(room.store._files, "move_in", move_in_and_delete)
    with pytest.raises(ImageNotFound):
        room.store.put(record, io.BytesIO(b"cat"))
    assert room.files() == []


# Uploads in pieces


def test_an_upload_in_pieces_is_kept(room: Room) -> None:
    with room.store.receive((record := room.accept()).key) as upload:
        for piece in (b"c", b"", b"at"):
            upload.write(piece)
        event = upload.commit()

    assert room.announcements == [event]
    assert room.files() == [place_of(record.key)]


def test_the_first_byte_too_many_is_refused_at_once(room: Room) -> None:
    with room.store.receive(room.accept().key) as upload:
        upload.write(b"cat")
        with pytest.raises(UploadMismatch, match="the 3 that were announced"):
            upload.write(b"s")


def test_an_upload_that_breaks_off_leaves_nothing(room: Room) -> None:
    with room.store.receive(room.accept().key) as upload:
        upload.write(b"ca")
    assert room.files() == []


def test_aborting_twice_is_no_error(room: Room) -> None:
    with room.store.receive(room.accept().key) as upload:
        upload.abort()
        upload.abort()


# Limits and failures


def test_an_image_that_is_too_large_is_refused_before_it_arrives(room: Room) -> None:
    with pytest.raises(UploadTooLarge, match="1001 bytes"):
        room.store.receive(room.accept(MAX_BYTES + 1).key)


def test_uploads_are_refused_before_the_disk_is_full(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.store, "_min_free_bytes", 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 898, 102))
    with pytest.raises(StoreFull, match="102 bytes left"):
        room.store.receive(room.accept().key)

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 897, 103))
    room.put()


@pytest.mark.parametrize(
    ("number", "refusal"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EROFS, StoreUnavailable),
        (errno.EIO, StoreUnavailable),
    ],
)
@pytest.mark.parametrize("where", ["lumitag.adapters.local._uploads.create_private_file", "pathlib.Path.replace"])
def test_a_failing_disk_refuses_the_upload_and_it_works_again_later(
    room: Room, monkeypatch: pytest.MonkeyPatch, where: str, number: int, refusal: type[Exception]
) -> None:
    record = room.accept()
    with monkeypatch.context() as patches:
        patches.setattr(where, fail(number))
        with pytest.raises(refusal):
            room.store.put(record, io.BytesIO(b"cat"))
    assert (room.files(), room.announcements) == ([], [])

    room.store.put(record, io.BytesIO(b"cat"))
    assert len(room.announcements) == 1


def test_a_disk_that_fills_up_at_the_flush_is_full_and_not_damaged(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patches:
        patches.setattr(os, "fsync", fail(errno.ENOSPC))
        with pytest.raises(StoreFull):
            room.put()
    room.put()
    assert room.store.is_healthy


def test_after_a_failed_flush_nothing_is_stored_any_more(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patches:
        patches.setattr(os, "fsync", fail(errno.EIO))
        with pytest.raises(StoreUnavailable):
            room.put()

    assert not room.store.is_healthy
    with pytest.raises(StoreUnavailable, match="Check the disk"):
        room.put()
    assert (room.files(), room.announcements) == ([], [])


# Grants


def request_of(grant: UploadGrant, **changed: Any) -> dict[str, Any]:
    """Return the request that `grant` is for."""
    url = urlsplit(grant.upload_url)
    query = parse_qs(url.query)
    granted = {
        "method": grant.method,
        "key": url.path.removeprefix("/objects/"),
        "host": url.netloc,
        "content_type": grant.headers["Content-Type"],
        "content_length": 3,
        "expires": query["expires"][0],
        "signature": query["signature"][0],
    }
    return granted | changed


def test_the_request_that_was_granted_is_accepted(room: Room) -> None:
    grant = room.store.upload_grant(room.accept(), BASE_URL)

    room.store.check_grant(**request_of(grant))


@pytest.mark.parametrize("sha256", [None, hashlib.sha256(b"cat").hexdigest()])
def test_a_grant_stays_good_for_a_repetition_of_the_same_upload(room: Room, sha256: str | None) -> None:
    record = room.accept(sha256=sha256)
    grant = room.store.upload_grant(record, BASE_URL)
    room.store.put(record, io.BytesIO(b"cat"))

    room.store.check_grant(**request_of(grant))


def test_a_grant_ends(room: Room) -> None:
    grant = room.store.upload_grant(room.accept(), BASE_URL)
    room.clock.advance(LIFETIME_S - 1)
    room.store.check_grant(**request_of(grant))
    room.clock.advance(1)

    with pytest.raises(UploadExpired):
        room.store.check_grant(**request_of(grant))


def test_a_grant_for_a_deleted_image_is_worth_nothing(room: Room) -> None:
    grant = room.store.upload_grant(record := room.accept(), BASE_URL)
    room.labels.delete(record.key)

    with pytest.raises(ImageNotFound):
        room.store.check_grant(**request_of(grant))


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"method": "POST"}, UploadForbidden),
        ({"host": "localhost:8000"}, UploadForbidden),
        ({"host": "127.0.0.1:80000"}, UploadForbidden),
        ({"content_type": "image/png"}, UploadForbidden),
        ({"content_type": None}, UploadForbidden),
        ({"content_length": 2}, UploadMismatch),
        ({"content_length": 4}, UploadMismatch),
        ({"content_length": None}, UploadMismatch),
        ({"expires": None}, UploadForbidden),
        ({"expires": ""}, UploadForbidden),
        ({"expires": "9999999999"}, UploadForbidden),
        ({"signature": None}, UploadForbidden),
        ({"signature": ""}, UploadForbidden),
        ({"signature": "é\ud800"}, UploadForbidden),
    ],
)
def test_any_other_request_is_refused(room: Room, changed: dict[str, Any], refusal: type[Exception]) -> None:
    grant = room.store.upload_grant(room.accept(), BASE_URL)

    with pytest.raises(refusal):
        room.store.check_grant(**request_of(grant, **changed))


def test_a_grant_is_for_its_own_image_only(room: Room) -> None:
    first, second = (room.store.upload_grant(room.accept(), BASE_URL) for _ in range(2))

    with pytest.raises(UploadForbidden):
        room.store.check_grant(**request_of(first, key=second.key))


def test_a_grant_binds_the_announced_sha256(room: Room) -> None:
    record = room.accept(sha256="0" * 64)
    forged = room.store.upload_grant(ImageRecord(record.key, "", "image/jpeg", 3, record.created_time), BASE_URL)

    with pytest.raises(UploadForbidden):
        room.store.check_grant(**request_of(forged))


def test_another_servers_grant_is_worth_nothing(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    grant = room.store.upload_grant(room.accept(), BASE_URL)
    monkeypatch.setattr(room.store._grants, "_signing_key", b"K" * 32)

    with pytest.raises(UploadForbidden):
        room.store.check_grant(**request_of(grant))


@pytest.mark.parametrize(
    ("base_url", "host"),
    [("http://lumitag.example:80", "lumitag.example"), ("https://Lumitag.example/", "lumitag.example")],
)
def test_a_host_may_be_written_as_clients_write_it(room: Room, base_url: str, host: str) -> None:
    grant = room.store.upload_grant(room.accept(), base_url)

    room.store.check_grant(**request_of(grant, host=host))


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["method", "key", "host", "content_type", "expires", "signature"]),
    position=st.integers(0, 63),
    edit=st.sampled_from(["replace", "insert", "remove"]),
    character=st.characters(),
)
def test_no_single_edit_of_a_granted_request_is_accepted(
    room: Room, name: str, position: int, edit: str, character: str
) -> None:
    granted = request_of(room.store.upload_grant(room.accept(), BASE_URL))
    text = granted[name]
    position %= len(text)
    middle = {"replace": character, "insert": character + text[position], "remove": ""}[edit]
    edited = text[:position] + middle + text[position + 1 :]
    if edited.strip().lower() != text.lower():  # hosts and types have no case
        with pytest.raises((UploadForbidden, ImageNotFound)):
            room.store.check_grant(**granted | {name: edited})


# Housekeeping


def test_what_is_left_of_a_broken_upload_is_swept_away_after_an_hour(room: Room) -> None:
    draft = room.root / "tmp" / "left"
    draft.touch()
    moment = room.clock.now().timestamp()
    os.utime(draft, (moment, moment))

    room.clock.advance(3600)
    assert room.store.sweep() == 0
    room.clock.advance(1)
    assert room.store.sweep() == 1
    assert room.files() == []


def test_an_upload_that_never_came_is_forgotten_after_its_time(room: Room) -> None:
    record = room.accept()
    room.clock.advance(LIFETIME_S)
    assert room.store.reconcile() == Repairs(abandoned_uploads=0, deleted_images=0)

    room.clock.advance(timedelta(minutes=11).total_seconds())
    assert room.store.reconcile() == Repairs(abandoned_uploads=1, deleted_images=0)
    with pytest.raises(ImageNotFound):
        room.labels.get(record.key)


def test_bytes_that_were_never_acknowledged_are_forgotten_with_their_record(room: Room) -> None:
    room.refusal = Crash()
    with pytest.raises(Crash):
        room.put()
    room.clock.advance(86_400)

    assert room.store.reconcile() == Repairs(abandoned_uploads=1, deleted_images=0)
    assert room.files() == []


def test_bytes_whose_deletion_broke_off_are_removed(room: Room) -> None:
    key = room.put()
    room.store.write_thumbnail(key, b"small")
    room.labels.delete(key)

    assert room.store.reconcile() == Repairs(abandoned_uploads=0, deleted_images=1)
    assert room.files() == []


def test_nothing_acknowledged_is_ever_removed(room: Room) -> None:
    key = room.put()
    room.store.write_thumbnail(key, b"small")
    before = room.files()
    room.clock.advance(10 * 365 * 86_400)

    assert room.store.reconcile() == Repairs(abandoned_uploads=0, deleted_images=0)
    assert room.files() == before


# Thumbnails


def test_a_thumbnail_is_kept_and_goes_with_its_image(room: Room) -> None:
    key = room.put()
    assert room.store.read_thumbnail(key) is None

    room.store.write_thumbnail(key, b"small")
    assert room.store.read_thumbnail(key) == b"small"

    room.store.delete(key)
    assert room.files() == []


def test_a_thumbnail_of_a_deleted_image_is_not_kept(room: Room) -> None:
    key = room.put()
    room.store.delete(key)
    room.store.write_thumbnail(key, b"small")

    assert room.files() == []


def test_a_thumbnail_of_a_strange_key_is_not_found(room: Room) -> None:
    with pytest.raises(ImageNotFound):
        room.store.read_thumbnail("../../etc/passwd")
