"""The SQLite database of the local platform: one thread writes, in groups that share one flush; anyone reads.

Only this module opens the database files. Any other program or line that opens and closes them
would silently drop SQLite's locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from lumitag.adapters.local._changes import AfterCommit, Change, Connection, fail_all
from lumitag.adapters.local._files import create_private_file, flush_folder
from lumitag.adapters.local._schema import migrate
from lumitag.adapters.local._sqlite_errors import BUSY_TIMEOUT_S, primary_code, translated_errors
from lumitag.errors import StoreDamaged, StoreUnavailable

T = TypeVar("T")

_LARGEST_GROUP: Final = 256
_CHANGED_ROWS_PER_CHECKPOINT: Final = 500  # keeps the write-ahead log at a few megabytes
_WRITER_CACHE_KIB: Final = 16_000
_READER_CACHE_KIB: Final = 2_000  # each thread of the server may have a reader of its own
_SHOWN_PROBLEMS: Final = 3

_logger = logging.getLogger(__name__)


class Database:
    """A SQLite file that keeps what it acknowledged, through kills and power cuts.

    Attributes:
        path: of the database file; `-wal` and `-shm` lie beside it.

    The constructor creates or migrates the file. Raises StoreDamaged, StoreUnavailable, StoreFull,
    or StoreError when a newer Lumitag wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._changes: SimpleQueue[Change[Any] | None] = SimpleQueue()
        self._current: Change[Any] | None = None
        self._idle_readers: deque[Connection] = deque()
        self._closing = threading.Lock()
        self._is_closed = False
        self._damage: str | None = None
        self._uncheckpointed_since = 0
        with translated_errors():
            self._connection = self._open()
        self._writer = threading.Thread(target=self._write_groups, name="lumitag-database", daemon=True)
        self._writer.start()

    @property
    def is_healthy(self) -> bool:
        """Whether writes can succeed. Once False it stays so: only a restart re-reads what is really on the disk."""
        return self._damage is None and not self._is_closed

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run `change` in a transaction and return its result once it is durably committed.

        A `change` that raises is undone alone and its exception comes out here; whoever shared the commit
        is not affected. Raises StoreUnavailable, StoreFull, StoreDamaged.
        """
        if threading.current_thread() is self._writer:
            raise RuntimeError("a change cannot wait for another change: use the connection it was given")
        return self.submit(change).result()

    def submit(self, change: Callable[[Connection], T]) -> Future[T]:
        """Queue `change` without waiting; the future is resolved when it is durably committed."""
        waiting = Change(change)
        with self._closing:
            if self._is_closed:
                raise StoreUnavailable("The database is closed: the server is stopping.")
            self._changes.put(waiting)
        return waiting.future

    def on_commit(self, connection: Connection, callback: AfterCommit) -> None:
        """Have the running change's `callback` called after its commit, on the writer thread: it must be quick.

        It is not called if the change is undone.
        """
        if connection is not self._connection or self._current is None:
            raise RuntimeError("on_commit belongs inside a change, with the connection that the change was given")
        self._current.after_commit.append(callback)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection that reads one unchanging moment of the database and cannot write."""
        with translated_errors():
            connection = self._borrow_reader()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                connection.rollback()
                self._return_reader(connection)

    def backup(self, target: Path) -> None:
        """Copy one moment of the database to the new file `target`, while others read and write.

        Raises FileExistsError if `target` exists.
        """
        os.close(create_private_file(target))
        with translated_errors(), closing(self._connect()) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)

    def check(self) -> None:
        """Read everything and raise StoreDamaged if anything does not fit together."""
        # integrity_check, because quick_check of SQLite 3.40 reports false errors on tables without rowid.
        with self.read() as connection:
            problems = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        if problems != ["ok"]:
            raise StoreDamaged(
                f"The database {self.path} is damaged ({'; '.join(problems[:_SHOWN_PROBLEMS])}). "
                'Restore the last backup with "lumitag restore".'
            )

    def checkpoint(self) -> bool:
        """Move everything from the write-ahead log into the database and empty the log.

        Deleted content leaves the disk by this. Return False if a reader was in the way: try again later.
        """
        with translated_errors(), closing(self._connect(busy_timeout_s=0.1)) as connection:
            try:
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error as error:
                self._note_damage(error)
                raise
        return not busy

    def close(self) -> None:
        """Finish what waits, then close all connections. Closing twice is no error."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
            self._changes.put(None)
        self._writer.join()
        self._connection.close()
        while self._idle_readers:
            self._idle_readers.pop().close()

    def _open(self) -> Connection:
        with suppress(FileExistsError):
            os.close(create_private_file(self.path))
            flush_folder(self.path.parent)
        connection = self._connect()
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection, self.path)
        except BaseException:
            connection.close()
            raise
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
        # Checkpoints are made by hand because the automatic ones hide a failed flush.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        return connection

    def _connect(self, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",  # never create: a database that is gone must not look empty
            uri=True,
            timeout=busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")  # NORMAL loses acknowledged commits in a power cut
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
        return connection

    def _borrow_reader(self) -> Connection:
        if self._is_closed:
            raise StoreUnavailable("The database is closed: the server is stopping.")
        try:
            return self._idle_readers.pop()
        except IndexError:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            return connection

    def _return_reader(self, connection: Connection) -> None:
        self._idle_readers.append(connection)
        if self._is_closed:
            with suppress(IndexError):
                self._idle_readers.pop().close()

    def _write_groups(self) -> None:
        is_open = True
        while is_open:
            group = self._take_waiting()
            is_open = None not in group
            self._commit([change for change in group if change is not None])

    def _take_waiting(self) -> list[Change[Any] | None]:
        """Wait for a change, then take it with all others that wait: whoever waits while we flush is next."""
        group = [self._changes.get()]
        while len(group) < _LARGEST_GROUP and not self._changes.empty():
            group.append(self._changes.get())
        return group

    def _commit(self, group: list[Change[Any]]) -> None:
        if self._damage is not None:
            fail_all(group, StoreUnavailable(self._damage))
            return
        try:
            self._run(group)
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            self._connection.rollback()
            fail_all(group, error)
            return
        for change in group:
            change.finish()
        self._checkpoint_if_due()

    def _run(self, group: list[Change[Any]]) -> None:
        with translated_errors():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                for change in group:
                    self._current = change
                    change.run(self._connection)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._note_damage(error)
                raise
            finally:
                self._current = None

    def _checkpoint_if_due(self) -> None:
        changed_rows = self._connection.total_changes
        if changed_rows - self._uncheckpointed_since < _CHANGED_ROWS_PER_CHECKPOINT:
            return
        self._uncheckpointed_since = changed_rows
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            self._note_damage(error)
            _logger.exception("The database could not be checkpointed.")

    def _note_damage(self, error: sqlite3.Error) -> None:
        """Stop all writing after an I/O error: a flush that is repeated after a failure lies.

        Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
        """
        if primary_code(error) == sqlite3.SQLITE_IOERR:
            self._damage = (
                f"The disk under {self.path} failed ({error}). Nothing is written any more. "
                "Check the disk, then start Lumitag again."
            )
