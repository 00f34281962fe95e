"""The data folder: it belongs to one server at a time, and it is recognized when it comes back."""

from __future__ import annotations

import fcntl
import os
import secrets
import weakref
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lumitag.adapters.local._database import Database
from lumitag.adapters.local._files import make_private_folder, write_private_file
from lumitag.errors import StoreDamaged, StoreInUse

_SIGNING_KEY_BYTES: Final = 32


class DataFolderLock:
    """Keeps every other server out of a data folder, from construction until `release` or the end of the process.

    Child processes do not inherit it: when the server is killed the folder is free, whatever its children do.
    Raises StoreInUse.
    """

    def __init__(self, folder: Path) -> None:
        make_private_folder(folder)
        self._descriptor: int | None = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            raise StoreInUse(
                f"Another Lumitag server is using {folder}. Stop it, or choose another folder with --data."
            ) from None
        _close_in_children(self)

    def release(self) -> None:
        """Let another server in. Releasing twice is no error."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _close_in_children(lock: DataFolderLock) -> None:
    # A flock belongs to the open file, which a forked child shares: the child has to let go of its copy.
    reference = weakref.ref(lock)

    def close_in_child() -> None:
        if (inherited := reference()) is not None:
            inherited.release()

    os.register_at_fork(after_in_child=close_in_child)


def bind_store(folder: Path, database: Database) -> str:
    """Make sure that `database` and `folder` belong together and return their store id.

    A new store gets its `store-id` file. Raises StoreDamaged when the two do not belong together, such as
    when a disk is not mounted: an empty folder must not look like a store whose images are all gone.
    """
    store_id, is_used = _identity(database)
    sentinel = folder / "store-id"
    try:
        found = sentinel.read_text("ascii").strip()
    except FileNotFoundError:
        if is_used:
            raise StoreDamaged(
                f"{folder} has a database but no store-id file. Is the right disk mounted? "
                'If it is, restore the last backup with "lumitag restore".'
            ) from None
        write_private_file(sentinel, f"{store_id}\n".encode("ascii"))
        return store_id
    if found != store_id:
        raise StoreDamaged(
            f"The database and the folder {folder} belong to different stores. Is the right disk mounted? "
            'If it is, restore the last backup with "lumitag restore".'
        )
    return store_id


def load_signing_key(folder: Path) -> bytes:
    """Return the 32 random bytes that sign upload URLs, made when they are first needed."""
    path = folder / "signing-key"
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_bytes(_SIGNING_KEY_BYTES)
        write_private_file(path, key)
    if len(key) != _SIGNING_KEY_BYTES:
        raise StoreDamaged(f"{path} is damaged. Remove it: a new one is made, and open upload URLs become invalid.")
    return key


def _identity(database: Database) -> tuple[str, bool]:
    with database.read() as connection:
        store_id = connection.execute("SELECT id FROM store").fetchone()["id"]
        is_used = connection.execute("SELECT EXISTS (SELECT 1 FROM images)").fetchone()[0]
    return store_id, bool(is_used)
