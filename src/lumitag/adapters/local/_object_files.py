"""The files of the object store.

- `objects/ab/<key>`: the images; "ab" are the last two characters of the key, which are random.
- `thumbnails/ab/<key>`: derived from them, and safe to lose.
- `tmp/`: uploads on their way in.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from lumitag.adapters.local._files import (
    create_private_file,
    flush_folder,
    make_private_folder,
    translated_os_errors,
)
from lumitag.domain import is_key
from lumitag.errors import ImageNotFound, StoreUnavailable


def object_name(key: str) -> str:
    """Return where an image is kept, below the data folder."""
    return f"objects/{key[-2:]}/{key}"


class ObjectFiles:
    """Files under `root`. Every key it is given must be one: `is_key` keeps it safe in a path."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made_folders: set[Path] = set()
        self._damage: str | None = None
        with translated_os_errors():
            for folder in ("objects", "thumbnails", "tmp"):
                make_private_folder(root / folder)

    @property
    def is_healthy(self) -> bool:
        """Whether no flush has failed since the start."""
        return self._damage is None

    def require_health(self) -> None:
        """Raise StoreUnavailable if a flush has failed since the start."""
        if self._damage is not None:
            raise StoreUnavailable(self._damage)

    def open(self, key: str) -> BinaryIO:
        """Return the whole object, open for reading. Raises ImageNotFound."""
        try:
            # Never through a link: whatever was planted in the folder, only its own files are served.
            descriptor = os.open(self._object_path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO}:
                raise ImageNotFound from None
            with translated_os_errors():
                raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ImageNotFound
        return os.fdopen(descriptor, "rb")

    def has_object(self, key: str) -> bool:
        """Return whether there is an object."""
        return self._object_path(key).exists()

    def has_anything_of(self, key: str) -> bool:
        """Return whether there is an object or a thumbnail."""
        return self.has_object(key) or self._thumbnail_path(key).exists()

    def remove(self, key: str) -> None:
        """Remove object and thumbnail, if they are there."""
        with translated_os_errors():
            self._object_path(key).unlink(missing_ok=True)
            self._thumbnail_path(key).unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        """Yield the key of every object, in no order."""
        for folder in (self._root / "objects").iterdir():
            yield from (path.name for path in folder.iterdir() if is_key(path.name))

    def free_bytes(self) -> int:
        """Return how many bytes the disk has left for us."""
        with translated_os_errors():
            return shutil.disk_usage(self._root).free

    def new_draft(self, key: str) -> Path:
        """Return the path of a new temporary file, on the same disk as the objects."""
        return self._root / "tmp" / f"{key}.{token_hex(8)}"

    def remove_drafts(self, older_than: datetime) -> int:
        """Remove temporary files last written before `older_than`; return how many."""
        removed = 0
        with translated_os_errors():
            for draft in (self._root / "tmp").iterdir():
                with suppress(FileNotFoundError):  # its own upload was faster
                    if draft.stat().st_mtime < older_than.timestamp():
                        draft.unlink()
                        removed += 1
        return removed

    def flush(self, descriptor: int) -> None:
        """Make an open file or folder durable. After a failure of the disk nothing more is stored."""
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                # The kernel forgets what it could not write: a second flush would succeed and mean nothing.
                self._damage = (
                    f"The disk of the data folder failed ({error.strerror}). Nothing is stored any more. "
                    "Check the disk, then start Lumitag again."
                )
            raise

    def move_in(self, draft: Path, key: str) -> None:
        """Make a durable draft the object, durably. Raises StoreFull, StoreUnavailable."""
        path = self._object_path(key)
        with translated_os_errors():
            self._make_folder(path.parent)
            draft.replace(path)
            descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self.flush(descriptor)
            finally:
                os.close(descriptor)

    def read_thumbnail(self, key: str) -> bytes | None:
        """Return the kept thumbnail, or None."""
        with translated_os_errors():
            try:
                return self._thumbnail_path(key).read_bytes()
            except FileNotFoundError:
                return None

    def write_thumbnail(self, key: str, content: bytes) -> None:
        """Keep a thumbnail; it is not flushed, because it can be made again."""
        path, draft = self._thumbnail_path(key), self.new_draft(key)
        with translated_os_errors():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                with os.fdopen(create_private_file(draft), "wb") as file:
                    file.write(content)
                draft.replace(path)
            except OSError:
                draft.unlink(missing_ok=True)  # A full disk must not be filled with what cannot be kept.
                raise

    def _make_folder(self, folder: Path) -> None:
        if folder not in self._made_folders:
            folder.mkdir(mode=0o700, exist_ok=True)
            flush_folder(folder.parent)  # also if it was there: whoever made it may have died before its flush
            self._made_folders.add(folder)

    def _object_path(self, key: str) -> Path:
        return self._root / object_name(key)

    def _thumbnail_path(self, key: str) -> Path:
        return self._root / "thumbnails" / key[-2:] / key
