"""One change of the database on its way into a commit that it may share with others."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from lumitag.adapters.local._sqlite_errors import primary_code, translate

T = TypeVar("T")
Connection = sqlite3.Connection
AfterCommit = Callable[[], None]

_logger = logging.getLogger(__name__)


class Change(Generic[T]):
    """A change that waits for its commit, and whoever waits for it."""

    def __init__(self, change: Callable[[Connection], T]) -> None:
        self._change = change
        self._result: T
        self._error: BaseException | None = None
        self.future: Future[T] = Future()
        self.after_commit: list[AfterCommit] = []

    def run(self, connection: Connection) -> None:
        """Run inside a savepoint of its own. Raises only what dooms the whole group."""
        connection.execute("SAVEPOINT change")
        try:
            self._result = self._change(connection)
        except BaseException as error:  # it belongs to whoever waits for this change
            if _dooms_the_group(error, connection):
                raise
            connection.execute("ROLLBACK TO change")
            self._error = error
            self.after_commit.clear()
        connection.execute("RELEASE change")

    def finish(self) -> None:
        """Call what was to be called after the commit, then tell whoever waits."""
        for callback in self.after_commit:
            try:
                callback()
            except Exception:
                _logger.exception("A callback after a commit failed; the commit itself is done.")
        if self._error is not None:
            self.fail(self._error)
        elif self.future.set_running_or_notify_cancel():
            self.future.set_result(self._result)

    def fail(self, error: BaseException) -> None:
        """Tell whoever waits that there is no result."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(translate(error) if isinstance(error, sqlite3.Error) else error)


def _dooms_the_group(error: BaseException, connection: Connection) -> bool:
    """Return whether SQLite has undone the whole transaction already, or the disk failed."""
    return isinstance(error, sqlite3.Error) and (
        not connection.in_transaction or primary_code(error) == sqlite3.SQLITE_IOERR
    )


def fail_all(group: list[Change[Any]], error: BaseException) -> None:
    """Tell everyone in a group that its commit failed."""
    for change in group:
        change.fail(error)
