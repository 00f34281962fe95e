"""Files that survive a power cut and that only their owner can read."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lumitag.errors import StoreFull, StoreUnavailable


def create_private_file(path: Path) -> int:
    """Create an empty file and return its descriptor, open for writing. Raises FileExistsError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def write_private_file(path: Path, content: bytes) -> None:
    """Write a whole file durably, replacing what was there in one moment."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(create_private_file(draft), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    flush_folder(path.parent)


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, durably. One that is there already is no error."""
    if not folder.parent.exists():
        make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Make the names in `folder` durable: a file's own flush does not."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def translated_os_errors() -> Iterator[None]:
    """Turn the file system's errors into those of the store."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFull from error
        raise StoreUnavailable(
            f"The disk of the data folder does not work: {error.strerror}. Check that it is mounted and writable."
        ) from error
