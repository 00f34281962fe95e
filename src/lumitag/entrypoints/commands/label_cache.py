"""Remembers what was recognized in which bytes, so that nothing is recognized twice on this machine.

The cache may vanish, be full or be damaged at any time: it is then left alone, with one warning.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from lumitag.domain import Json

Found = TypeVar("Found")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answer (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- grows, so the smallest is the oldest
    sha256 BLOB NOT NULL,
    model TEXT NOT NULL,
    answer BLOB NOT NULL,
    UNIQUE (sha256, model)
);
"""
_MAX_ROWS: Final = 1_000_000
_PRUNE_EVERY: Final = 1_000
_BUSY_TIMEOUT_S: Final = 5.0


class LabelCache:
    """Answers of the recognizer by the sha256 of the content and the model. Safe to use from many threads.

    Args:
        path: of the SQLite file; its folder is made when needed.
        warn: is told once when the cache is of no use.
        max_rows: the oldest answers are dropped beyond this.
    """

    def __init__(self, path: Path, warn: Callable[[str], None], max_rows: int = _MAX_ROWS) -> None:
        self._path = path
        self._warn = warn
        self._max_rows = max_rows
        self._lock = threading.Lock()
        self._puts = 0
        self._connection = self._guarded(self._open)

    def get(self, sha256: bytes, model: str) -> Json | None:
        """Return the answer for this content and model, or None."""
        row = self._guarded(lambda: self._read(sha256, model))
        try:
            return None if row is None else json.loads(zlib.decompress(row))
        except (ValueError, zlib.error):
            return None

    def put(self, sha256: bytes, model: str, answer: Json) -> None:
        """Remember an answer."""
        packed = zlib.compress(json.dumps(answer, separators=(",", ":")).encode(), 1)
        self._guarded(lambda: self._write(sha256, model, packed))

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _guarded(self, work: Callable[[], Found | None]) -> Found | None:
        with self._lock:
            try:
                return work()
            except (sqlite3.Error, OSError) as error:
                self._connection = None
                reason = (error.strerror if isinstance(error, OSError) else None) or error
                self._warn(f"The cache {self._path} cannot be used and is left alone: {reason}.")
                return None

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # What a power cut takes is recognized again.
        connection.executescript(_SCHEMA)
        return connection

    def _read(self, sha256: bytes, model: str) -> bytes | None:
        if self._connection is None:
            return None
        query = "SELECT answer FROM answer WHERE sha256 = ? AND model = ?"
        row = self._connection.execute(query, (sha256, model)).fetchone()
        return None if row is None else bytes(row[0])

    def _write(self, sha256: bytes, model: str, answer: bytes) -> None:
        if self._connection is None:
            return
        insert = "INSERT OR REPLACE INTO answer (sha256, model, answer) VALUES (?, ?, ?)"
        self._connection.execute(insert, (sha256, model, answer))
        self._puts += 1
        if self._puts % _PRUNE_EVERY == 1:
            self._connection.execute(
                "DELETE FROM answer WHERE id <= (SELECT max(id) FROM answer) - ?", (self._max_rows,)
            )


def cache_path() -> Path:
    """Return where the cache of this user lies: below LUMITAG_CACHE, else XDG_CACHE_HOME, else ~/.cache."""
    if own := os.environ.get("LUMITAG_CACHE"):
        return Path(own) / "labels.sqlite"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "lumitag", "labels.sqlite")
