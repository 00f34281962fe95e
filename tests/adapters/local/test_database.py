"""What the local database promises beyond the contracts: durability, groups, damage, one server at a time."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from lumitag.adapters.local import _records, _schema
from lumitag.adapters.local._data_folder import DataFolderLock, bind_store, load_signing_key
from lumitag.adapters.local._database import Database
from lumitag.errors import StoreDamaged, StoreError, StoreFull, StoreInUse, StoreUnavailable

Connection = sqlite3.Connection


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "test.sqlite3")
    yield database
    database.close()


def bury(connection: Connection, key: str) -> str:
    """Change something: a tombstone is the smallest thing that can be kept."""
    connection.execute("INSERT INTO tombstones VALUES (?, 0)", (key,))
    return key


def kept(database: Database) -> list[str]:
    with database.read() as connection:
        return [row["key"] for row in connection.execute("SELECT key FROM tombstones ORDER BY key")]


def broken(connection: Connection) -> None:
    bury(connection, "half done")
    raise ValueError("broken")


class Held:
    """Keeps the writer busy until it is released, so that changes pile up behind it."""

    def __init__(self, database: Database) -> None:
        self._started = threading.Event()
        self._released = threading.Event()
        self._future = database.submit(self._hold)
        assert self._started.wait(30)

    def _hold(self, _: Connection) -> None:
        self._started.set()
        assert self._released.wait(30)

    def release(self) -> None:
        self._released.set()
        self._future.result(30)


# Writing


def test_a_change_returns_its_result_once_it_is_kept(database: Database) -> None:
    assert database.write(lambda connection: bury(connection, "a")) == "a"
    assert kept(database) == ["a"]


def test_a_change_that_raises_is_undone(database: Database) -> None:
    with pytest.raises(ValueError, match="broken"):
        database.write(broken)
    assert kept(database) == []


def test_a_change_that_raises_does_not_touch_those_who_share_its_commit(database: Database) -> None:
    held = Held(database)
    futures: list[Future[object]] = [
        database.submit(lambda connection: bury(connection, "a")),
        database.submit(broken),
        database.submit(lambda connection: bury(connection, "b")),
    ]
    held.release()

    assert [future.exception(30) is None for future in futures] == [True, False, True]
    assert kept(database) == ["a", "b"]


def test_all_who_wait_share_one_commit(database: Database) -> None:
    held = Held(database)
    statements: list[str] = []
    database._connection.set_trace_callback(statements.append)
    futures = [database.submit(partial(bury, key=f"{number}")) for number in range(50)]
    held.release()

    assert sorted(future.result(30) for future in futures) == kept(database)
    assert statements.count("COMMIT") == 2  # of the one that was held, and of all others together


def test_a_change_cannot_wait_for_another(database: Database) -> None:
    with pytest.raises(RuntimeError):
        database.write(lambda _: database.write(lambda connection: bury(connection, "a")))


def test_callbacks_run_after_the_commit(database: Database) -> None:
    seen: list[list[str]] = []

    def change(connection: Connection) -> None:
        bury(connection, "a")
        database.on_commit(connection, lambda: seen.append(kept(database)))

    database.write(change)
    assert seen == [["a"]]


def test_callbacks_of_an_undone_change_do_not_run(database: Database) -> None:
    seen: list[str] = []

    def change(connection: Connection) -> None:
        database.on_commit(connection, lambda: seen.append("called"))
        broken(connection)

    with pytest.raises(ValueError, match="broken"):
        database.write(change)
    assert seen == []


def test_a_callback_that_raises_harms_nobody(database: Database) -> None:
    def change(connection: Connection) -> None:
        bury(connection, "a")
        database.on_commit(connection, lambda: broken(connection))

    database.write(change)
    assert database.write(lambda connection: bury(connection, "b")) == "b"


def test_callbacks_belong_inside_a_change(database: Database) -> None:
    with pytest.raises(RuntimeError), database.read() as connection:
        database.on_commit(connection, lambda: None)


# Reading


def test_a_reader_sees_one_moment(database: Database) -> None:
    with database.read() as connection:
        before = connection.execute("SELECT count(*) FROM tombstones").fetchone()[0]
        database.write(lambda writing: bury(writing, "a"))

        assert connection.execute("SELECT count(*) FROM tombstones").fetchone()[0] == before == 0


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StoreUnavailable), database.read() as connection:
        bury(connection, "a")
    assert kept(database) == []


def test_readers_in_many_threads_get_connections_of_their_own(database: Database) -> None:
    together = threading.Barrier(8)

    def read() -> None:
        with database.read() as connection:
            together.wait(30)
            connection.execute("SELECT 1").fetchone()

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(database._idle_readers) == 8


# Durability


@pytest.mark.parametrize(("pragma", "value"), [("synchronous", 2), ("journal_mode", "wal"), ("secure_delete", 1)])
def test_every_commit_is_flushed_and_deleted_content_is_overwritten(
    database: Database, pragma: str, value: object
) -> None:
    assert database.write(lambda connection: connection.execute(f"PRAGMA {pragma}").fetchone()[0]) == value


WRITER = """
import sys
from pathlib import Path
from lumitag.adapters.local._database import Database

database = Database(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    key = f"{number:09d}"
    insert = "INSERT INTO tombstones VALUES (?, 0)"
    future = database.submit(lambda connection, key=key: connection.execute(insert, (key,)))
    if sys.argv[2] == "patient":
        future.result()
    print(key, flush=True)
"""


def lost_by_kills(path: Path, manner: str, kills: int) -> int:
    """Return how many acknowledged changes are missing after a writer was killed that many times."""
    lost = 0
    for number in range(kills):
        target = path / f"{manner}-{number}.sqlite3"
        with subprocess.Popen([sys.executable, "-c", WRITER, str(target), manner], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            acknowledged = [writer.stdout.readline() for _ in range(50 * (number + 1))]
            writer.send_signal(signal.SIGKILL)
            acknowledged += writer.stdout.readlines()
        with closing(Database(target)) as database:
            database.check()
            lost += len({line.decode().strip() for line in acknowledged if line.endswith(b"\n")} - set(kept(database)))
    return lost


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    assert lost_by_kills(tmp_path, "patient", kills=4) == 0


def test_the_kill_test_would_notice_an_acknowledgement_before_the_commit(tmp_path: Path) -> None:
    assert lost_by_kills(tmp_path, "hasty", kills=4) > 0


# Failures of the disk


def test_a_full_disk_refuses_and_loses_nothing(database: Database) -> None:
    database.write(lambda connection: bury(connection, "a"))
    pages = database.write(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    database._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull):
        database.write(lambda connection: bury(connection, "b" * 100_000))

    database._connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    database.write(lambda connection: bury(connection, "c"))
    assert database.is_healthy
    assert kept(database) == ["a", "c"]


def test_a_database_that_another_program_holds_is_unavailable_for_a_while(database: Database) -> None:
    database._connection.execute("PRAGMA busy_timeout = 20")
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            database.write(lambda connection: bury(connection, "a"))

    database.write(lambda connection: bury(connection, "b"))
    assert kept(database) == ["b"]


def failed_flush(_: Connection) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    raise error


def test_after_a_failed_flush_nothing_is_written_any_more(database: Database) -> None:
    database.write(lambda connection: bury(connection, "before"))
    held = Held(database)
    futures: list[Future[object]] = [
        database.submit(lambda connection: bury(connection, "neighbour")),
        database.submit(failed_flush),
    ]
    held.release()

    assert all(isinstance(future.exception(30), StoreUnavailable) for future in futures)
    assert not database.is_healthy
    with pytest.raises(StoreUnavailable, match="Check the disk"):
        database.write(lambda connection: bury(connection, "after"))
    assert kept(database) == ["before"]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test.sqlite3").write_bytes(b"These are not the pages you are looking for. " * 100)

    with pytest.raises(StoreDamaged):
        Database(tmp_path / "test.sqlite3")


def test_damage_in_the_middle_is_found_by_the_check(database: Database) -> None:
    database.write(lambda connection: [bury(connection, f"{number:040d}") for number in range(5000)])
    database.check()
    database.close()
    content = bytearray(database.path.read_bytes())
    content[len(content) // 2 :: 4096] = b"\xff" * len(content[len(content) // 2 :: 4096])
    database.path.write_bytes(content)

    with closing(Database(database.path)) as damaged, pytest.raises(StoreDamaged):
        damaged.check()


# The schema


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.sqlite3")) as other:
        other.execute("CREATE TABLE things (name)")

    with pytest.raises(StoreDamaged, match="another program"):
        Database(tmp_path / "other.sqlite3")


def test_a_newer_database_is_refused_politely_and_left_alone(database: Database) -> None:
    database._connection.execute("PRAGMA user_version = 99")
    database.close()

    with pytest.raises(StoreError, match="newer"):
        Database(database.path)
    with closing(sqlite3.connect(database.path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


def test_an_older_database_is_migrated_and_a_copy_is_kept(database: Database) -> None:
    database.write(lambda connection: bury(connection, "a"))
    added = ("ALTER TABLE tombstones ADD COLUMN why TEXT NOT NULL DEFAULT 'unknown'",)
    _schema.migrate(database._connection, database.path, (*_schema.MIGRATIONS, added))

    assert database._connection.execute("SELECT key, why FROM tombstones").fetchone()[:] == ("a", "unknown")
    with closing(sqlite3.connect(f"{database.path}.schema-{len(_schema.MIGRATIONS)}")) as copy:
        assert copy.execute("SELECT * FROM tombstones").fetchall() == [("a", 0)]


def test_a_database_from_before_image_properties_opens(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        _schema.migrate(old, path, _schema.MIGRATIONS[:1])
        old.execute(
            "INSERT INTO images"
            " (id, key, file_name, content_type, size, created_time, status, request_id, packed_labels)"
            " VALUES (1, ?, 'old.jpg', 'image/jpeg', 3, 0, 'recognized', '', '[]')",
            ("0" * 26,),
        )

    with closing(Database(path)) as database, database.read() as connection:
        row = _records.find(connection, "0" * 26)
        assert row is not None
        record = _records.record_of(row, (), with_properties=True)
    assert (record.file_name, record.properties) == ("old.jpg", None)


def test_a_migration_that_fails_changes_nothing(database: Database) -> None:
    database.write(lambda connection: bury(connection, "a"))
    with pytest.raises(sqlite3.OperationalError):
        _schema.migrate(
            database._connection, database.path, (*_schema.MIGRATIONS, ("DROP TABLE tombstones", "NONSENSE"))
        )

    assert kept(database) == ["a"]
    assert database._connection.execute("PRAGMA user_version").fetchone()[0] == len(_schema.MIGRATIONS)


def test_a_database_that_is_gone_is_not_made_anew(database: Database) -> None:
    database.write(lambda connection: bury(connection, "a"))
    for path in database.path.parent.iterdir():
        path.unlink()

    with pytest.raises(StoreUnavailable):
        database.backup(database.path.with_name("copy.sqlite3"))
    assert not database.path.exists()


# Files


def test_only_the_owner_can_read_the_files(database: Database) -> None:
    database.write(lambda connection: bury(connection, "a"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in database.path.parent.iterdir()}

    assert modes == dict.fromkeys(("test.sqlite3", "test.sqlite3-wal", "test.sqlite3-shm"), 0o600)


def test_a_backup_is_a_whole_database(database: Database, tmp_path: Path) -> None:
    database.write(lambda connection: bury(connection, "a"))
    database.backup(tmp_path / "copy.sqlite3")
    database.write(lambda connection: bury(connection, "b"))

    with closing(Database(tmp_path / "copy.sqlite3")) as copy:
        copy.check()
        assert kept(copy) == ["a"]
    assert stat.S_IMODE((tmp_path / "copy.sqlite3").stat().st_mode) == 0o600


def test_a_backup_never_overwrites(database: Database, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")

    with pytest.raises(FileExistsError):
        database.backup(tmp_path / "precious")


def test_a_checkpoint_empties_the_log(database: Database) -> None:
    database.write(lambda connection: bury(connection, "a"))

    assert database.checkpoint()
    assert database.path.with_name("test.sqlite3-wal").stat().st_size == 0
    assert kept(database) == ["a"]


def test_a_checkpoint_gives_way_to_readers(database: Database) -> None:
    with database.read() as connection:
        connection.execute("SELECT count(*) FROM tombstones").fetchone()
        database.write(lambda writing: bury(writing, "a"))

        assert not database.checkpoint()


def test_the_log_does_not_grow_without_end(database: Database) -> None:
    for _ in range(20):
        database.write(lambda connection: connection.executemany("INSERT INTO store VALUES (?)", [("x" * 1000,)] * 600))
        database.write(lambda connection: connection.execute("DELETE FROM store WHERE id LIKE 'xxx%'"))

    assert database.path.with_name("test.sqlite3-wal").stat().st_size < 8_000_000


# The end


def test_closing_finishes_what_waits(database: Database) -> None:
    future = database.submit(lambda connection: bury(connection, "a"))
    database.close()

    assert future.result(30) == "a"
    with closing(Database(database.path)) as again:
        assert kept(again) == ["a"]


def test_closing_twice_is_no_error(database: Database) -> None:
    database.close()
    database.close()


def test_a_closed_database_is_unavailable(database: Database) -> None:
    database.close()

    assert not database.is_healthy
    with pytest.raises(StoreUnavailable):
        database.write(lambda connection: bury(connection, "a"))
    with pytest.raises(StoreUnavailable):
        kept(database)


# The data folder


def test_a_data_folder_has_one_server(tmp_path: Path) -> None:
    with DataFolderLock(tmp_path), pytest.raises(StoreInUse, match="--data"):
        DataFolderLock(tmp_path)


def test_a_released_data_folder_is_free(tmp_path: Path) -> None:
    DataFolderLock(tmp_path).release()
    with DataFolderLock(tmp_path) as lock:
        lock.release()


def test_a_new_data_folder_is_private(tmp_path: Path) -> None:
    with DataFolderLock(tmp_path / "a" / "b"):
        assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


PARENT = """
import os, sys, time
from pathlib import Path
from lumitag.adapters.local import _data_folder

if sys.argv[2] == "careless":
    _data_folder._close_in_children = lambda lock: None
lock = _data_folder.DataFolderLock(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(60)
print(child, flush=True)
os._exit(0)
"""


def is_free_after_the_server_died(folder: Path, manner: str) -> bool:
    """Return whether the folder is free although a child of its dead server lives."""
    answer = subprocess.run([sys.executable, "-c", PARENT, str(folder), manner], stdout=subprocess.PIPE, check=True)
    try:
        DataFolderLock(folder).release()
    except StoreInUse:
        return False
    finally:
        os.kill(int(answer.stdout), signal.SIGKILL)
    return True


def test_children_do_not_keep_the_folder_of_a_dead_server(tmp_path: Path) -> None:
    assert is_free_after_the_server_died(tmp_path, "careful")


def test_the_child_test_would_notice_an_inherited_lock(tmp_path: Path) -> None:
    assert not is_free_after_the_server_died(tmp_path, "careless")


def use(database: Database) -> None:
    """Make the store one that holds an image."""
    database.write(
        lambda connection: connection.execute(
            """
            INSERT INTO images (key, file_name, content_type, size, created_time, status, request_id, packed_labels)
            VALUES ('k', '', '', 0, 0, 'pending', '', '[]')
            """
        )
    )


def test_a_store_is_recognized_when_it_comes_back(database: Database, tmp_path: Path) -> None:
    store_id = bind_store(tmp_path, database)
    use(database)

    assert bind_store(tmp_path, database) == store_id


def test_a_folder_whose_disk_is_not_mounted_is_refused(database: Database, tmp_path: Path) -> None:
    bind_store(tmp_path, database)
    use(database)
    (tmp_path / "store-id").unlink()

    with pytest.raises(StoreDamaged, match="mounted"):
        bind_store(tmp_path, database)


def test_the_folder_of_another_store_is_refused(database: Database, tmp_path: Path) -> None:
    bind_store(tmp_path, database)
    with closing(Database(tmp_path / "other.sqlite3")) as other, pytest.raises(StoreDamaged, match="different stores"):
        bind_store(tmp_path, other)


def test_the_signing_key_is_made_once_and_private(tmp_path: Path) -> None:
    key = load_signing_key(tmp_path)

    assert len(key) == 32
    assert load_signing_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "signing-key").stat().st_mode) == 0o600


def test_a_damaged_signing_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "signing-key").write_bytes(b"short")

    with pytest.raises(StoreDamaged):
        load_signing_key(tmp_path)
