"""SQLite's errors in the words of the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lumitag.errors import StoreDamaged, StoreFull, StoreUnavailable

BUSY_TIMEOUT_S: Final = 5.0
"""How long SQLite waits for another program that holds the database."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn SQLite's errors into those of the store; let everything unknown rise unchanged."""
    try:
        yield
    except sqlite3.Error as error:
        translation = translate(error)
        if translation is error:
            raise
        raise translation from error


def translate(error: sqlite3.Error) -> Exception:
    """Return the store's error for SQLite's, or the same error if it is none of the store's."""
    match primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreUnavailable(
                f"Another program has held the database for {BUSY_TIMEOUT_S:g} seconds. Try again in a few seconds."
            )
        case sqlite3.SQLITE_FULL:
            return StoreFull()
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
            return StoreUnavailable(
                f"The database cannot be read or written: {error}. Check the disk of the data folder."
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreDamaged()
        case _:
            return error


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's result code without its details; 0 if the error did not come from SQLite itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
